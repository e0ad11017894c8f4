package postfix

import (
	"fmt"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// The services that are added to master.cf.
const (
	transportName = "ukai"
	lookupName    = "ukai-lookup"
)

// steer sends mail for blocked providers to ukai at once.
func (x *plan) steer() error {
	if x.version.before(305) {
		return i18n.Errorf("postfix.refuse.version", "version", x.version.String(), "need", "3.5", "what", "ukai:[relay]:port, the.domain")
	}
	for _, name := range []string{transportName, lookupName} {
		if x.master.find(name) != nil {
			return i18n.Errorf("postfix.refuse.service", "service", name, "file", x.master.path)
		}
	}
	x.transport()
	x.Answer = fmt.Sprintf("%s:%s, {domain}", transportName, x.next.Literal())
	if x.main.get("transport_maps") != "" {
		x.gap("postfix.gap.existing_maps")
	}
	if x.main.get("sender_dependent_default_transport_maps") != "" {
		x.gap("postfix.gap.sender_transport")
	}
	if x.wish.Live != "" {
		return x.live()
	}
	return x.routes()
}

// transport adds a copy of the service that all mail uses. Its limits are the same: the door sees to it that whoever is first in
// the list of next hops does not keep the mail from the second.
func (x *plan) transport() {
	v, _ := x.master.client(readHop("", "", x.main.get("default_transport")).transport)
	lines := []string{
		"",
		"# ukai: mail for a blocked provider. ukai is asked first, the provider itself where ukai is not there.",
		fmt.Sprintf("%-9s unix  -       %-7s %-7s -       %-7s smtp", transportName, v.unpriv, v.chroot, v.process),
	}
	if v.args != "" {
		lines = append(lines, "  "+v.args)
	}
	x.master.add(append(lines, "  -o smtp_connection_cache_on_demand=no")...)
	x.does("postfix.does.transport", "service", transportName, "peer", x.wish.Peer.Literal())
}

// routes keeps the routes in a file.
func (x *plan) routes() error {
	f := mtaconf.File{Path: x.beside("ukai_transport"), Perm: 0o644, Moving: true,
		Text: []byte("# ukai: mail for blocked providers (transport(5)). This file is written by ukai.\n")}
	if err := x.file(f); err != nil {
		return err
	}
	kind := x.tableType()
	table := kind + ":" + f.Path
	then := x.command("postfix", "reload")
	if ending := indexed[kind]; ending != "" {
		then = x.command("postmap", table)
		x.Prepare = append(x.Prepare, then)
		x.Made = append(x.Made, f.Path+ending)
	} else {
		x.gap("postfix.gap.reload")
	}
	then.Quiet = true
	x.Routes = []mtaconf.RouteFile{{Path: f.Path, Format: mtaconf.PostfixTransport, Value: x.Answer, Then: &then}}
	x.main.put("transport_maps", table)
	x.does("postfix.does.routes", "file", f.Path)
	return nil
}

// live has routes asked for one by one. trivial-rewrite(8) gets them from a process that Postfix starts: it answers "not found"
// when ukai does not, where Postfix would defer the mail. The path of the socket is relative to the queue directory, in which
// all daemons work, chroot or not (socketmap_table(5)).
func (x *plan) live() error {
	if x.wish.Program == "" || x.wish.Server == "" {
		return i18n.Errorf("postfix.refuse.live")
	}
	x.master.add("",
		"# ukai: asks ukai where the mail for a recipient goes, and answers \"not found\" where ukai does not.",
		fmt.Sprintf("%s unix - n n - - spawn", lookupName),
		fmt.Sprintf("  user=%s argv=%s lookup --to %s", x.nobody(), x.wish.Program, x.wish.Live))
	x.main.put("transport_maps", fmt.Sprintf("socketmap:unix:private/%s:%s", lookupName, x.wish.Server))
	x.does("postfix.does.live", "address", x.wish.Live, "program", x.wish.Program)
	x.gap("postfix.gap.program", "program", x.wish.Program)
	return nil
}
