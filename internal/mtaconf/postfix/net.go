package postfix

import (
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// netParams are the parameters of the safety net.
var netParams = []string{"smtp_reply_filter", "smtp_fallback_relay", "smtp_mx_session_limit", "smtp_delivery_status_filter"}

// net puts the safety net below the delivery.
func (x *plan) net() error {
	if err := x.netRefused(); err != nil {
		return err
	}
	if err := x.exempt(); err != nil {
		return err
	}
	reply := mtaconf.File{Path: x.beside("ukai_reply.regexp"), Text: x.wish.Reply, Perm: 0o644}
	if err := x.file(reply); err != nil {
		return err
	}
	x.door()
	x.main.add("", "# ukai: a message that is refused for the reputation of this address goes out over ukai, in the same attempt.")
	x.main.set("smtp_reply_filter", "regexp:"+reply.Path)
	x.main.set("smtp_fallback_relay", x.next.Literal())
	x.does("postfix.does.net", "peer", x.wish.Peer.Literal())
	x.sessions()
	if err := x.secondNet(); err != nil {
		return err
	}
	x.overrides()
	x.gap("postfix.gap.temporary")
	if x.version == 0 {
		x.gap("postfix.gap.version")
	}
	if v := x.main.get("sender_dependent_relayhost_maps"); v != "" {
		x.gap("postfix.gap.sender_relayhost", "value", v)
	}
	return nil
}

// netRefused says why there can be no safety net.
func (x *plan) netRefused() error {
	if x.version.before(207) {
		return i18n.Errorf("postfix.refuse.version", "version", x.version.String(), "need", "2.7", "what", "smtp_reply_filter")
	}
	if v := x.main.get("relayhost"); v != "" {
		return i18n.Errorf("postfix.refuse.relayhost", "value", v, "file", x.main.path)
	}
	for _, name := range []string{"smtp_reply_filter", "smtp_fallback_relay"} {
		if v := x.main.get(name); v != "" {
			return i18n.Errorf("postfix.refuse.own", "name", name, "value", v, "file", x.main.path)
		}
	}
	if x.main.yes("soft_bounce") { // smtp_chat.c turns every 5xx into 4xx: spam and unknown users would take the detour
		return i18n.Errorf("postfix.refuse.soft_bounce", "file", x.main.path)
	}
	return x.speaksSMTP()
}

// speaksSMTP says why default_transport cannot be what the plan is made for.
func (x *plan) speaksSMTP() error {
	h := readHop("default_transport", "", x.main.get("default_transport"))
	v, smtp := x.master.client(h.transport)
	if !smtp || h.next != "" {
		return i18n.Errorf("postfix.refuse.default_transport", "value", x.main.get("default_transport"), "file", x.main.path)
	}
	for _, name := range append(netParams, "relayhost") {
		if value, ok := v.options[name]; ok && (x.wish.Mode != mtaconf.Relay || name == "relayhost") {
			return i18n.Errorf("postfix.refuse.override", "service", v.name, "name", name, "value", value, "file", x.master.path)
		}
	}
	return nil
}

// sessions keeps the SMTP client from asking the provider's other hosts before the detour.
func (x *plan) sessions() {
	switch v, own := x.main.values["smtp_mx_session_limit"]; {
	case !own:
		x.main.set("smtp_mx_session_limit", "1")
	case x.main.get("smtp_mx_session_limit") != "1":
		x.gap("postfix.gap.sessions", "value", v, "file", x.main.path)
	}
}

// secondNet defers what the first net missed.
func (x *plan) secondNet() error {
	if v := x.main.get("smtp_delivery_status_filter"); v != "" {
		x.gap("postfix.gap.status_filter", "value", v)
		return nil
	}
	if x.version.before(300) {
		x.gap("postfix.gap.second_net", "version", x.version.String())
		return nil
	}
	f := mtaconf.File{Path: x.beside("ukai_status.regexp"), Text: x.wish.Status, Perm: 0o644}
	if err := x.file(f); err != nil {
		return err
	}
	x.main.set("smtp_delivery_status_filter", "regexp:"+f.Path)
	x.does("postfix.does.second_net")
	return nil
}

// exempt takes the services that hand mail to hosts of the operator's out of the net, or says why that cannot be done.
func (x *plan) exempt() error {
	common := readHop("", "", x.main.get("default_transport")).transport
	hops, opaque := x.transports()
	inside := append(append(x.filters(), x.stores()...), x.circles(hops)...)
	if v, smtp := x.master.client("relay"); smtp && v.name != common {
		inside = append(inside, hop{transport: "relay"})
	}
	done := make(map[string]bool)
	for _, h := range inside {
		name := h.transport
		if name == "" { // "the transport that it would be anyway" (transport(5))
			name = common
		}
		v, smtp := x.master.client(name)
		if _, own := serviceOption(v, "smtp_fallback_relay"); !smtp || own || done[name] {
			continue
		}
		if name == common {
			return i18n.Errorf("postfix.refuse.inner", "where", strings.TrimSpace(h.where+" "+h.key), "value", h.value, "service", name)
		}
		x.master.insert(v.entry, "  -o smtp_fallback_relay=")
		x.does("postfix.does.exempt", "service", name)
		done[name] = true
	}
	for _, m := range opaque {
		x.gap("postfix.gap.opaque", "value", m)
	}
	return nil
}

func serviceOption(v *service, name string) (value string, ok bool) {
	if v == nil {
		return "", false
	}
	value, ok = v.options[name]
	return value, ok
}

// overrides names the services whose own settings keep them out of the net.
func (x *plan) overrides() {
	for _, v := range x.senders() {
		var own []string
		for _, name := range netParams {
			if value, ok := v.options[name]; ok {
				own = append(own, name+"="+value)
			}
		}
		if len(own) > 0 {
			x.gap("postfix.gap.override", "service", v.name, "value", strings.Join(own, ", "))
		}
		if a := v.options["smtp_bind_address"]; a != "" {
			x.note("postfix.found.bind", "service", v.name, "address", a)
		}
	}
}
