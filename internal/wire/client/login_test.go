package client

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// The first three are those of recorded C++ programs, key by key (spec.md 5.2).
func TestLoginsAreTheSeeds(t *testing.T) {
	for _, test := range []struct {
		name, nonce string
		login       Login
		want        string
		url         string
	}{
		{"agent", "1437608631",
			Login{User: "iot", Password: "lub42DUB", MountPoint: "test/agent", Watchdog: 180 * time.Second},
			`{"login":{"password":"73f422e5fb395a0ad8af042402e835b73d9218a7","type":"SHA1","user":"iot"}` +
				`,"options":{"device":{"mountPoint":"test/agent"},"idleWatchDogTimeOut":180}}`, "tcp://h"},
		{"shell", "1336980497", Login{User: "iot", Password: "lub42DUB"},
			`{"login":{"password":"d622fa9568f5dda56ea22bd25526b4c7b778e13d","type":"SHA1","user":"iot"}` +
				`,"options":{"idleWatchDogTimeOut":0}}`, "ssl://h?verify=false"},
		{"helper", "1524437174", Login{Tunnel: "ef9b3cd47426dfbfb295a63df5e0e8bf57ffafae"},
			`{"login":{"password":"6299fa3137d1615cbc93a7de35edd3b6de0bfaea","type":"SHA1","user":""}` +
				`,"options":{"idleWatchDogTimeOut":0,"tunnel":{"secret":"ef9b3cd47426dfbfb295a63df5e0e8bf57ffafae"}}}`, "ssl://h"},
		{"device with an id, over TLS", "", Login{User: "u", Password: "p", DeviceID: "d", MountPoint: "m"},
			`{"login":{"password":"p","type":"PLAIN","user":"u"}` +
				`,"options":{"device":{"deviceId":"d","mountPoint":"m"},"idleWatchDogTimeOut":0}}`, "ssl://h"},
		{"socket", "1", Login{User: "u", Password: "p"},
			`{"login":{"password":"p","type":"PLAIN","user":"u"},"options":{"idleWatchDogTimeOut":0}}`, "unix:/s"},
		{"hash of the password", "1336980497", Login{User: "iot"},
			`{"login":{"password":"d622fa9568f5dda56ea22bd25526b4c7b778e13d","type":"SHA1","user":"iot"}` +
				`,"options":{"idleWatchDogTimeOut":0}}`,
			"ssl://h?shapass=" + fmt.Sprintf("%x", sha1.Sum([]byte("lub42DUB")))},
		{"password before hash and token", "", Login{User: "u", Password: "p"},
			`{"login":{"password":"p","type":"PLAIN","user":"u"}` +
				`,"options":{"idleWatchDogTimeOut":0}}`, "ssl://h?shapass=00&token=t"},
		{"certificate", "1", Login{},
			`{"login":{"type":"EXTERNAL","user":""},"options":{"idleWatchDogTimeOut":0}}`, "ssl://h?cert=c&key=k"},
		{"certificate of a named user", "1", Login{User: "u"},
			`{"login":{"type":"EXTERNAL","user":"u"},"options":{"idleWatchDogTimeOut":0}}`, "ssl://h?cert=c&key=k"},
		{"password beside a certificate", "1", Login{User: "u", Password: "p"},
			`{"login":{"password":"p","type":"PLAIN","user":"u"},"options":{"idleWatchDogTimeOut":0}}`, "ssl://h?cert=c&key=k"},
		{"token", "1", Login{User: "u"},
			`{"login":{"token":"t","type":"TOKEN"},"options":{"idleWatchDogTimeOut":0}}`, "tcp://h?shapass=00&token=t"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				u, err := transport.ParseURL(test.url)
				if err != nil {
					t.Fatal(err)
				}
				b, done := dial(t, t.Context(), Options{Login: test.login, URL: u})
				b.Expect(hello)
				b.Send(`<1:1,8:1>i{2:{"nonce":"%s"}}`, test.nonce)
				b.Expect(`<1:1,8:2,10:"login">i{1:%s}`, test.want)
				b.Send(`<1:1,8:2>i{2:{"clientId":1}}`)
				d := <-done
				if d.err != nil {
					t.Fatal(d.err)
				}
				d.client.Close()
				if d.client.ID() != 1 || d.client.Link().Cause() != link.Done {
					t.Errorf("id %d, ended: %v", d.client.ID(), d.client.Err())
				}
			})
		})
	}
}

func TestAnyResultIsALogin(t *testing.T) {
	for body, id := range map[string]int64{
		`i{2:{"clientId":7}}`: 7, `i{2:{"clientId":7u,"x":1}}`: 7, `i{2:{"clientId":"7"}}`: 0,
		`i{2:{}}`: 0, `i{}`: 0, `i{2:null}`: 0, `i{2:"session-token"}`: 0, `i{2:true}`: 0,
	} {
		bubble(t, func(t *testing.T) {
			b, done := dial(t, t.Context(), Options{})
			b.Text()
			b.Send(helloAnswer)
			b.Text()
			b.Send(`<1:1,8:2>%s`, body)
			d := <-done
			if d.err != nil {
				t.Fatalf("%s: %v", body, d.err)
			}
			if d.client.ID() != id {
				t.Errorf("%s: id %d, want %d", body, d.client.ID(), id)
			}
			d.client.Close()
		})
	}
}

func TestLoginsThatFail(t *testing.T) {
	refusal := `Invalid authentication for user: iot reason: Invalid password. at: 127.0.0.1:48228`
	url := transport.URL{Scheme: "tcp", Host: "h", Port: "1"}
	for _, test := range []struct {
		name          string
		hello, answer string // "": close
		refused       bool
		want          string
	}{
		{"refused", helloAnswer, `<1:1,8:2>i{3:i{1:8,2:"` + refusal + `"}}`, true, "login refused at tcp://h:1: " + refusal},
		{"refused without a text", helloAnswer, `<1:1,8:2>i{3:i{1:10}}`, true, "login refused at tcp://h:1: RPC error 10"},
		{"hello refused", `<1:1,8:1>i{3:i{1:8,2:"busy"}}`, "", false, "cannot log in to tcp://h:1: hello: busy"},
		{"closed at hello", "", "", false,
			"hello: connection closed by the peer; is this the broker's tcp port? A TLS port needs ssl://"},
		{"closed at login", helloAnswer, "", false, "cannot log in to tcp://h:1: connection closed by the peer"},
		{"garbage", helloAnswer, `<1:1,8:2>[1]`, false, "not an IMap"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, done := dial(t, t.Context(), Options{URL: url})
				for _, answer := range []string{test.hello, test.answer} {
					b.Text()
					if answer == "" {
						b.Close()
						break
					}
					b.Send("%s", answer)
					if strings.Contains(answer, "busy") {
						break
					}
				}
				d := <-done
				if d.err == nil || errors.Is(d.err, ErrRefused) != test.refused || !strings.Contains(d.err.Error(), test.want) {
					t.Errorf("got %v, want %s", d.err, test.want)
				}
			})
		})
	}
}

func TestLoginThatNobodyAnswersEndsInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), DefaultTimeout)
		defer cancel()
		b, done := dial(t, ctx, Options{URL: transport.URL{Scheme: "ssl", Host: "h", Port: "1"}, Timeout: DefaultTimeout})
		b.Expect(hello)
		began := time.Now()
		d := <-done
		const want = "hello: no answer within 10s; is this the broker's ssl port?"
		if d.err == nil || !strings.HasSuffix(d.err.Error(), want) || time.Since(began) != DefaultTimeout {
			t.Errorf("%v after %v", d.err, time.Since(began))
		}
		if _, err := b.In.ReadByte(); err != io.EOF {
			t.Errorf("the connection is still there: %v", err)
		}
	})
}
