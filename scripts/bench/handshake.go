package main

import (
	"context"
	"fmt"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// tunnelPeers are the two ends of a tunnel through a broker, and the agent.
type tunnelPeers struct {
	client, agent, helper *peer
	to                    rpc.Address // address of the helper's data
}

func (t *tunnelPeers) close() {
	for _, p := range []*peer{t.client, t.agent, t.helper} {
		if p != nil {
			p.close()
		}
	}
}

// openTunnel plays all peers of spec.md 8.1 up to the first data.
func openTunnel(ctx context.Context, address string) (t *tunnelPeers, err error) {
	t = new(tunnelPeers)
	defer func() {
		if err != nil {
			t.close()
			err = fmt.Errorf("opening a tunnel: %w", err)
		}
	}()
	const mountPoint, callID = "test/bench", 3
	if t.agent, err = dialPeer(ctx, address); err != nil {
		return t, err
	}
	device := chainpack.Map(chainpack.F("mountPoint", chainpack.String(mountPoint)))
	if err := t.agent.login(chainpack.F("device", device)); err != nil {
		return t, err
	}
	if t.client, err = dialPeer(ctx, address); err != nil {
		return t, err
	}
	if err := t.client.login(); err != nil {
		return t, err
	}
	if err := t.client.send(rpc.AppendRequest(nil, callID, mountPoint, "launchRexec", chainpack.Null())); err != nil {
		return t, err
	}
	found, err := t.find()
	if err != nil {
		return t, err
	}
	if t.helper, err = dialPeer(ctx, address); err != nil {
		return t, err
	}
	secret := chainpack.Map(chainpack.F("secret", chainpack.String(found.Secret)))
	if err := t.helper.login(chainpack.F("tunnel", secret)); err != nil {
		return t, err
	}
	return t, t.create(rpc.Address{ID: callID, Callers: found.CallerIDs})
}

// find plays the agent, which gets a secret for the call.
func (t *tunnelPeers) find() (rpc.TunnelCtl, error) {
	call, _, err := t.agent.receive()
	if err != nil {
		return rpc.TunnelCtl{}, err
	}
	request := rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.FindTunnelRequest}}
	if err := t.agent.send(rpc.AppendTunnel(nil, call.Address(), request, 0, chainpack.Null())); err != nil {
		return rpc.TunnelCtl{}, err
	}
	m, err := expect(t.agent, rpc.FindTunnelResponse)
	if err != nil {
		return rpc.TunnelCtl{}, err
	}
	return *m.Tunnel(), nil
}

// create plays helper and client. Each receives the address of the other.
func (t *tunnelPeers) create(call rpc.Address) error {
	const readID = 3 // of the helper
	request := rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelRequest, RequestID: readID}}
	if err := t.helper.send(rpc.AppendTunnel(nil, call, request, 0, chainpack.Null())); err != nil {
		return err
	}
	m, err := expect(t.client, rpc.CreateTunnelRequest)
	if err != nil {
		return err
	}
	back := rpc.Address{ID: m.Tunnel().RequestID, Callers: m.RevCallers()}
	response := rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelResponse}}
	if err := t.client.send(rpc.AppendTunnel(nil, back, response, 0, chainpack.Null())); err != nil {
		return err
	}
	if m, err = expect(t.helper, rpc.CreateTunnelResponse); err != nil {
		return err
	}
	t.to = rpc.Address{ID: call.ID, Callers: m.RevCallers()}
	return nil
}

// expect receives a message, which must have the state.
func expect(p *peer, state rpc.TunnelState) (*rpc.Message, error) {
	m, _, err := p.receive()
	if err != nil {
		return nil, err
	}
	if m.Tunnel().State != state {
		content, _ := m.Content()
		return nil, fmt.Errorf("tunnel state %d came, not %d (error: %v)", m.Tunnel().State, state, content.Error)
	}
	return m, nil
}
