package replay

import (
	"fmt"
	"time"
)

// scenarios are played against our broker. differs lists every message to a client that
// is not as recorded. Client ids are those of the recording.
var scenarios = []struct {
	name    string
	port    int  // the one that the recorded broker announced; 0: 3756
	kill    bool // the scenario kills the broker
	differs []deviation
}{
	{name: "a1_agent_login_idle_hbi2"},
	{name: "a3_agent_login_hbi0_deviceid"},
	{name: "a5_same_mountpoint_twice", differs: []deviation{
		instead("call 2", idsOfClients, now(denied)),
	}},
	{name: "b0_direct_tcpdump", port: 3755},
	{name: "b_rsh_session"},
	{name: "b2_rsh_ctrl_keys", differs: []deviation{
		instead("rexec end", tunnelLost, now(closeHelper)),
	}},
	{name: "b4_rsh_exit_code"},
	{name: "b5_rsh_output_then_exit"},
	{name: "b6_rsh_tty_hangup", differs: []deviation{
		instead("rexec end", tunnelLost+"; "+lingers, now(closeHelper), late(closed, time.Second)),
	}},
	{name: "c_calls", differs: []deviation{
		instead("call2 2", dirForm, now(dirOf())),
		instead("call3 2", nodesOfV3, now(`<1:1,8:3>i{2:["app","client","currentClient"]}`)),
		instead("call4 2", dirForm, now(dirOf(
			`i{1:"ping",2:0,3:"",4:"b",5:1,6:{}}`,
			`i{1:"echo",2:0,3:"?",4:"?",5:1,6:{}}`,
			`i{1:"appVersion",2:2,3:"",4:"s",5:1,6:{}}`,
			`i{1:"gitCommit",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"shvVersion",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"shvGitCommit",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"brokerId",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"masterBrokerId",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"subscribe",2:0,3:"{s}",4:"b",5:8,6:{}}`,
			`i{1:"unsubscribe",2:0,3:"{s}",4:"b",5:8,6:{}}`,
			`i{1:"rejectNotSubscribed",2:0,3:"{s}",4:"b",5:8,6:{}}`))),
		instead("call7 2", dirForm, now(dirOf(
			`i{1:"shvVersionMajor",2:2,3:"",4:"i",5:1,6:{}}`,
			`i{1:"shvVersionMinor",2:2,3:"",4:"i",5:1,6:{}}`,
			`i{1:"name",2:2,3:"",4:"s",5:1,6:{}}`,
			`i{1:"version",2:2,3:"",4:"s",5:1,6:{}}`,
			`i{1:"ping",2:0,3:"",4:"",5:1,6:{}}`,
			`i{1:"date",2:2,3:"",4:"t",5:1,6:{}}`))),
		instead("call8 2", nodesOfV3, now(`<1:1,8:3>i{2:"shvbroker"}`)),
		instead("call9 2", nodesOfV3, now(`<1:1,8:3>i{2:"1.2.3"}`)),
		instead("call10 2", nodesOfV3, now(`<1:1,8:3>i{2:3}`)),
		instead("call11 2", nodesOfV3, now(dirOf(
			`i{1:"name",2:2,3:"",4:"s",5:1,6:{}}`,
			`i{1:"clientInfo",2:0,3:"i",4:"!clientInfo|n",5:48,6:{}}`,
			`i{1:"mountedClientInfo",2:0,3:"s",4:"!clientInfo|n",5:48,6:{}}`,
			`i{1:"clients",2:2,3:"",4:"[i]",5:48,6:{}}`,
			`i{1:"mounts",2:2,3:"",4:"[s]",5:48,6:{}}`,
			`i{1:"disconnectClient",2:0,3:"i",4:"",5:48,6:{}}`,
			`i{1:"brokerId",2:2,3:"",4:"s",5:40,6:{}}`))),
		instead("call12 2", nodesOfV3, now(dirOf(
			`i{1:"info",2:2,3:"",4:"!clientInfo",5:1,6:{}}`,
			`i{1:"subscribe",2:0,3:"s|[s:RPCRI,i:TTL]",4:"b",5:1,6:{}}`,
			`i{1:"unsubscribe",2:0,3:"s",4:"b",5:1,6:{}}`,
			`i{1:"brokersAbove",2:0,3:"[s]",4:"[s]",5:1,6:{},63:{"description":"the ids of this broker and of those above it"}}`,
			`i{1:"subscriptions",2:2,3:"",4:"{i|n}",5:1,6:{}}`,
			`i{1:"clientId",2:2,3:"",4:"i",5:8,6:{}}`,
			`i{1:"mountPoint",2:2,3:"",4:"s",5:8,6:{}}`,
			`i{1:"userRoles",2:2,3:"",4:"[s]",5:8,6:{}}`,
			`i{1:"userProfile",2:2,3:"",4:"?",5:8,6:{}}`,
			`i{1:"accessGrantForMethodCall",2:0,3:"[s,s]",4:"s",5:8,6:{}}`,
			`i{1:"accessLevelForMethodCall",2:0,3:"[s,s]",4:"i",5:8,6:{}}`))),
		instead("call13 2", nodesOfV3, now(infoOf(15, "2000-01-01T00:00:01.367Z"))),
		instead("call14 2", idsOfClients, now(denied)),
		instead("call17 2", dirForm, now(dirOf())),
	}},
	{name: "d_bad_login", differs: []deviation{
		instead("call 1", loginLate, late(refused, penalty)),
		instead("call2 1", loginLate, late(refused, penalty)),
		instead("call3 1", loginLate, late(refused, 2*penalty)),                        // the same user again
		instead("call4 1", loginLate, late(`<1:1,8:2>i{2:{"clientId":5}}`, 2*penalty)), // the right password at last
		instead("call5 1", loginLate, late(refused, penalty)),
		instead("call6 1", loginLate, late(`<1:1,8:2>i{2:{"clientId":7}}`, penalty)),
		instead("call7 1", loginLate, late(refused, penalty)),
		instead("call7 end", loginRetry),
		instead("call8 1", loginLate, late(refused, 2*penalty)),
		instead("call8 end", loginRetry),
		instead("call9 1", loginLate, late(refused, penalty)),
		instead("call9 end", loginRetry),
		instead("call10 1", loginLate, late(`<1:1,8:2>i{2:{"clientId":11}}`, 2*penalty)),
		instead("call11 end", loginNoHello, late(`<1:1,8:1>i{3:i{1:8,2:"*"}}`, penalty)),
		instead("call12 end", loginFirst, now(`<1:1,8:1>i{3:i{1:10,2:"*"}}`)),
		instead("call13 end", helloAgain, now(`<1:1,8:2>i{2:{"nonce":"2048131425"}}`)),
		instead("call14 1", loginLate, late(refused, 2*penalty)),
		instead("call14 end", loginRetry, late(`<1:1,8:3>i{2:{"clientId":15}}`, 2*penalty)),
		instead("call15 2", nodesOfV3, now(infoOf(16, "2000-01-01T00:00:24.290Z"))),
		instead("call17 0", noCpon, now(closed)),
		instead("call19 0", notARequest),
		instead("call19 end", notARequest),
		instead("call20 end", loginFirst, now(`<1:1,8:1>i{3:i{1:10,2:"*"}}`)),
	}},
	{name: "e_errors", differs: []deviation{
		instead("call13 2", idsOfClients, now(denied)),
		instead("call18 2", accessText,
			now(`<1:1,8:3>i{3:i{1:8,2:"Access to SHV path 'test/agent' not granted for user 'sitesprovider'"}}`)),
		instead("call19 2", noSuchNode, now(`<1:1,8:3>i{3:i{1:2,2:"Method: 'ls' on path '.broker/etc/acl' doesn't exist"}}`)),
		instead("agent 11", cleanPath, now(`<1:1,8:3,9:"",10:"ls",11:23,14:"su",17:63>i{}`)),
		instead("call23 3", oneCaller, now(`<1:1,8:4,11:99>i{2:"shvagent"}`)),
		instead("agent 15", userIDOfPeer, now(`<1:1,8:5,9:"",10:"appName",11:26,14:"su",16:{},17:63>i{}`)),
		instead("agent 16", userIDOfPeer, now(`<1:1,8:6,9:"",10:"runCmd",11:26,14:"su",16:{},17:63>i{1:"true"}`)),
		instead("agent 19", orderOfKeys, now(`<1:1,8:9,9:"",10:"appName","foo":"x",11:26,14:"su",17:63>i{}`)),
		instead("call23 10", rightsOfIot, now(`<1:1,8:11>i{2:true}`)),
		instead("call23 11", nodesOfV3, now(`<1:1,8:12>i{2:false}`)), // the C++ broker had it
		instead("call23 12", largeID, now(`<1:1,8:1099511627776>i{2:true}`), now(`<1:1,8:16>i{2:true}`)),
	}},
	{name: "f_rsh_no_mount", differs: []deviation{
		instead("call3 1", loginLate, late(refused, penalty)),
	}},
	{name: "f2_rexec_missing_or_unreachable", differs: []deviation{
		instead("rsh end", secretLate, late(`<1:1,8:3>i{3:i{1:8,2:"*"}}`, 10*time.Second)),
	}},
	{name: "g1_agent_sigkill", differs: []deviation{
		instead("rsh end", tunnelLost, now(closeShell)),
	}},
	{name: "g3_rexec_sigkill", differs: []deviation{
		instead("rsh end", tunnelLost, now(closeShell)),
	}},
	{name: "g5_rsh_sigkill", differs: []deviation{
		instead("rexec end", tunnelLost+"; "+lingers, now(closeHelper), late(closed, time.Second)),
	}},
	{name: "g7_broker_sigkill", kill: true},
	{name: "h_tunnel_raw", differs: []deviation{
		instead("rexec end", lingers, late(closed, time.Second)),
		instead("rexec2 1", secretOnce+"; "+loginLate, late(refused, penalty)),
		instead("rexec2 2", loginFirst, now(`<1:1,8:51>i{3:i{1:10,2:"*"}}`)),
		instead("rexec2 3", loginFirst, now(`<1:1,8:51>i{3:i{1:10,2:"*"}}`)),
		instead("rexec2 4", loginFirst, now(`<1:1,8:51>i{3:i{1:10,2:"*"}}`)),
		instead("rexec2 5", loginFirst, now(`<1:1,8:51>i{3:i{1:10,2:"*"}}`)),
		instead("rexec3 1", loginLate, late(refused, penalty)),
		instead("rexec4 1", loginLate, late(refused, penalty)),
		instead("rexec5 1", loginLate, late(refused, penalty)),
		instead("rexec5 end", loginRetry),
		instead("rsh2 end", tunnelLost, now(closeRaw)),      // its helper was killed
		instead("rexec8 end", tunnelLost, now(closeHelper)), // its client left
		instead("rsh7 end", tunnelLost, now(closeRaw)),      // its helper knew no such method
		instead("rsh8 end", tunnelLost, now(closeRaw)),      // its helper got no params
		instead("rsh9 end", tunnelLost, now(closeRaw)),      // its helper waited for State 4
	}},
}

// Messages that several scenarios use.
const (
	refused     = `<1:1,8:2>i{3:i{1:8,2:"*"}}`
	closeHelper = `<1:1,8:3,15:<1:3>i{1:5}>i{3:i{1:8,2:"*"}}`
	closeShell  = closeHelper // both calls have the id 3
	closeRaw    = `<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:"*"}}`
)

// infoOf returns the answer to info of .broker/currentClient for a client of iot.
func infoOf(client int, since string) string {
	return fmt.Sprintf(`<1:1,8:3>i{2:{"clientId":%d,"userName":"iot","mountPoint":null,"subscriptions":{},`+
		`"peer":"*","since":d"%s","signalsMissed":0}}`, client, since)
}

// dirOf returns the answer to dir of a node with these methods.
func dirOf(methods ...string) string {
	text := `<1:1,8:3>i{2:[i{1:"dir",2:0,3:"n|b|s",4:"[!dir]|b",5:1,6:{}},` +
		`i{1:"ls",2:0,3:"s|n",4:"[s]|b",5:1,6:{"lsmod":null}}`
	for _, m := range methods {
		text += "," + m
	}
	return text + `]}`
}
