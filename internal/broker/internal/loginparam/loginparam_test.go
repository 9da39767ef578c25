package loginparam_test

import (
	"testing"
	"time"

	"shvtools/internal/broker/internal/loginparam"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

func TestWhatALoginSays(t *testing.T) {
	none := loginparam.Param{Idle: 180 * time.Second}
	for text, want := range map[string]loginparam.Param{
		`null`: none, `7`: none, `[1]`: none, `{"login":7,"options":[]}`: none,
		`{"login":{"user":"eva","password":"pw","type":"PLAIN"},` +
			`"options":{"device":{"mountPoint":"/a//b","deviceId":"d"},"idleWatchDogTimeOut":60,"session":true}}`: {
			User: "eva", Password: "pw", Type: "PLAIN", MountPoint: "/a//b", DeviceID: "d", Idle: time.Minute, Session: true},
		`{"login":{"token":"t"},"options":{"broker":{},"device":{}}}`: {
			Token: "t", Broker: true, Idle: 180 * time.Second},
		`{"options":{"tunnel":{"secret":"s"},"idleWatchDogTimeOut":0}}`: {
			Helper: true, Secret: "s", Idle: 10 * time.Hour},
		`{"options":{"tunnel":{},"idleWatchDogTimeOut":-1}}`: {Helper: true, Idle: 10 * time.Hour},
		// Values of another type say nothing.
		`{"login":{"user":7,"password":null},"options":{"tunnel":"s","broker":true,"session":"yes",` +
			`"device":{"mountPoint":7},"idleWatchDogTimeOut":"x"}}`: none,
	} {
		v, err := cpon.Parse([]byte(text), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := loginparam.Read(v); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}
