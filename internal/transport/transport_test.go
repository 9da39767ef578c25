package transport

import (
	"strings"
	"testing"
)

func TestURLForms(t *testing.T) {
	for text, want := range map[string]URL{
		"tcp://host":                     {Scheme: "tcp", Host: "host", Port: "3755"},
		"host":                           {Scheme: "tcp", Host: "host", Port: "3755"},
		"host:77":                        {Scheme: "tcp", Host: "host", Port: "77"},
		"tcp://[::1]:0":                  {Scheme: "tcp", Host: "::1", Port: "0"},
		"tcp://eva@host/ignored":         {Scheme: "tcp", Host: "host", Port: "3755", User: "eva", HasUser: true},
		"tcp://h?user=e@x&password=a%26": {Scheme: "tcp", Host: "h", Port: "3755", User: "e@x", HasUser: true, Password: "a&", HasPassword: true},
	} {
		got, err := ParseURL(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestBadURLIsRefusedWithoutShowingItsPassword(t *testing.T) {
	for _, text := range []string{"ssl://eva:secret@host", "tcp://eva:secret@", "tcp://eva:secret@host:port", "tcp://%zz?password=secret"} {
		if _, err := ParseURL(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever is wrongly taken for loopback gets the development password sent.
func TestOnlyThisMachineIsLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"tcp://127.0.0.1:3755":        true,
		"tcp://127.255.0.9":           true,
		"tcp://[::1]:3755":            true,
		"tcp://[::ffff:127.0.0.1]":    true,
		"tcp://LocalHost.:3755":       true,
		"tcp://0.0.0.0":               false,
		"tcp://127.0.0.1.example":     false,
		"tcp://localhost.example":     false,
		"tcp://localhost@evil.com":    false,
		"tcp://127.1":                 false,
		"tcp://broker.example":        false,
		"tcp://evil.com/?h=127.0.0.1": false,
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.IsLoopback(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
