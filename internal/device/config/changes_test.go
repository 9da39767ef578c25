package config_test

import (
	"reflect"
	"slices"
	"testing"

	"shvtools/internal/device/config"
)

// Whoever changes a policy must see that what they meant has changed, and what waits.
func TestWhatAReloadChanges(t *testing.T) {
	t.Parallel()
	const before = "connection: {url: 'tcp://u:one@h', mount: a}\ndrain: 1s\nsessions: {total: 3}\n" +
		"defaults: {umask: 027}\nrules:\n- {name: a, users: [eva]}\n- {name: b, deny: true}\n- {name: c}\n"
	old, err := config.Load(sources(write(t, before), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	const rules = "defaults: {umask: 027}\nrules:\n- {name: a, users: [eva]}\n- {name: b, deny: true}\n- {name: c}\n"
	const others = "connection: {url: 'tcp://u:one@h', mount: a}\ndefaults: {umask: 027}\n"
	for _, tt := range []struct {
		name, text string
		rules      config.RuleChanges
		waiting    []string
	}{
		{"nothing", before, config.RuleChanges{}, nil},
		{"lines alone", "# x\n\n" + before, config.RuleChanges{}, nil},
		{"what needs no restart", "connection: {url: 'tcp://u:one@h', mount: a}\nsessions: {total: 9, per-user: 1}\n" + rules,
			config.RuleChanges{}, nil},
		{"what needs one", "connection: {url: 'tcp://u:one@other', mount: b, heartbeat: 5s}\nfiles: {root: /srv}\n" +
			"commands: {time: 1s}\nsocket: none\n" + rules, config.RuleChanges{}, []string{"connection.url", "connection.mount",
			"connection.heartbeat", "files.root", "commands.time", "socket"}},
		{"a password in a URL", "connection: {url: 'tcp://u:two@h', mount: a}\n" + rules, config.RuleChanges{},
			[]string{"connection.url"}},
		{"a rule", others + "rules:\n- {name: a, users: [bob]}\n- {name: b, deny: true}\n- {name: c}\n",
			config.RuleChanges{Changed: []string{"a"}}, nil},
		{"one less, one more", others + "rules:\n- {name: a, users: [eva]}\n- {name: x}\n- {name: c}\n",
			config.RuleChanges{Added: []string{"x"}, Removed: []string{"b"}}, nil},
		{"the order", others + "rules:\n- {name: a, users: [eva]}\n- {name: c}\n- {name: b, deny: true}\n",
			config.RuleChanges{Changed: []string{"c"}}, nil},
		{"the defaults", "connection: {url: 'tcp://u:one@h', mount: a}\ndefaults: {}\n" +
			"rules:\n- {name: a, users: [eva]}\n- {name: b, deny: true}\n- {name: c}\n",
			config.RuleChanges{Changed: []string{"a", "b", "c"}}, nil},
		{"all of them", others + "rules: []\n", config.RuleChanges{Removed: []string{"a", "b", "c"}}, nil},
	} {
		c, err := config.Reload(old, sources(write(t, tt.text), nil, nil))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := c.RulesFrom(old); !reflect.DeepEqual(got, tt.rules) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.rules)
		}
		if got := c.WaitingFrom(old); !slices.Equal(got, tt.waiting) {
			t.Errorf("%s waits: %q, want %q", tt.name, got, tt.waiting)
		}
	}
}
