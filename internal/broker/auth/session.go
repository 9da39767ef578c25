package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// SessionLife is how long a session token is valid.
const SessionLife = 24 * time.Hour

// Bounds of the session tokens that are kept, for each user and in all.
const (
	maxUserSessions = 64
	maxSessions     = 20000
)

// sessions holds the session tokens, in memory only: after a restart, clients log in
// with their passwords. The zero value is empty and ready.
type sessions struct {
	mu    sync.Mutex
	byKey map[tokenKey]session
	order []tokenKey     // of byKey, the oldest first
	count map[string]int // by user
}

type session struct {
	login Login
	ends  time.Time
}

// add makes a token. If there are too many, the oldest is dropped: the user's own first,
// so that one user cannot displace the tokens of others.
func (s *sessions) add(l Login, now time.Time) string {
	text := rand.Text()
	key := tokenKey(sha256.Sum256([]byte(text)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey, s.count = make(map[tokenKey]session), make(map[string]int)
	}
	for len(s.order) > 0 && !now.Before(s.byKey[s.order[0]].ends) { // all live equally long
		s.drop(0)
	}
	if s.count[l.User.Name] >= maxUserSessions {
		s.dropOldestOf(l.User.Name)
	}
	if len(s.order) >= maxSessions {
		s.drop(0)
	}
	s.byKey[key] = session{login: l, ends: now.Add(SessionLife)}
	s.order = append(s.order, key)
	s.count[l.User.Name]++
	return text
}

func (s *sessions) dropOldestOf(user string) {
	for i, key := range s.order {
		if s.byKey[key].login.User.Name == user {
			s.drop(i)
			return
		}
	}
}

// drop forgets the i-th token of the order. s.mu is held.
func (s *sessions) drop(i int) {
	key := s.order[i]
	user := s.byKey[key].login.User.Name
	if s.count[user]--; s.count[user] == 0 {
		delete(s.count, user)
	}
	delete(s.byKey, key)
	s.order = append(s.order[:i], s.order[i+1:]...)
}

// revoke forgets a token; it returns false if there is none.
func (s *sessions) revoke(text string) bool {
	key := tokenKey(sha256.Sum256([]byte(text)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byKey[key]; !ok {
		return false
	}
	s.drop(slices.Index(s.order, key))
	return true
}

// keep forgets the tokens of all other logins.
func (s *sessions) keep(good func(Login) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.order) - 1; i >= 0; i-- {
		if !good(s.byKey[s.order[i]].login) {
			s.drop(i)
		}
	}
}

func (s *sessions) find(text string, now time.Time) (Login, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byKey[sha256.Sum256([]byte(text))]
	if !ok || !now.Before(found.ends) {
		return Login{}, false
	}
	return found.login, true
}
