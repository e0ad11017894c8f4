package postfix

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"

	"ukai/internal/mtaconf"
)

// firstDoor is the port that is tried first: next to that of ukai, and away from those of content filters (10024 and up).
const firstDoor = 2527

// door puts "ukai door" between Postfix and ukai. What Postfix hands to ukai goes to x.next then, a port of this machine where
// Postfix's own master listens and starts the program for each session (master(5), spawn(8)).
//
// Without it a ukai that hangs with its port open would hold a process of smtp(8) for smtp_helo_timeout, 300 s, for each message,
// and all mail shares 100 of them. That parameter cannot be made small instead: it holds for the providers' hosts, too, of which
// some let a client wait for their greeting on purpose (postscreen_greet_wait, Sendmail's greet_pause).
func (x *plan) door() {
	x.next = x.wish.Peer
	if x.wish.Program == "" || !x.sys.Exists(x.wish.Program) || slices.Contains(x.main.list("master_service_disable"), "inet") {
		x.gap("postfix.gap.hung", "value", cmp.Or(x.main.get("smtp_helo_timeout"), "300s"))
		if v := x.main.get("smtp_bind_address"); v != "" {
			x.gap("postfix.gap.bind", "value", v)
		}
		return
	}
	x.next = mtaconf.Peer{Host: "127.0.0.1", Port: cmp.Or(x.wish.Door, firstDoor)}
	name := "%s:%d"
	if x.main.get("inet_protocols") == "ipv6" {
		x.next.Host, name = "::1", "[%s]:%d"
	}
	used := x.usedPorts()
	for slices.Contains(used, x.next.Port) {
		x.next.Port++
	}
	greet := ""
	if !onThisMachine(x.wish.Peer.Host) {
		greet = " --greet 5s"
	}
	x.master.add("",
		"# ukai: the way to ukai. Who comes by it goes on at once, or keeps the message, where ukai is down or hangs.",
		fmt.Sprintf(name+" inet n n n - 0 spawn", x.next.Host, x.next.Port),
		"  -o command_time_limit=1h", // of a session: spawn(8) would end one after 1000 s
		fmt.Sprintf("  user=%s argv=%s door --to %s%s", x.nobody(), x.wish.Program, x.wish.Peer.Address(), greet))
	x.Door = x.next.Address()
	x.does("postfix.does.door", "address", x.Door, "program", x.wish.Program)
	x.gap("postfix.gap.door", "program", x.wish.Program, "user", x.nobody())
}

// onThisMachine tells whether a host is this machine by its loopback address.
func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// usedPorts are the ports that this Postfix and other instances listen on, and those of ukai. Two services at one address keep
// master(8) from running at all.
func (x *plan) usedPorts() []int {
	used := []int{x.wish.Peer.Port}
	if _, port, err := net.SplitHostPort(x.wish.Live); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			used = append(used, n)
		}
	}
	used = append(used, x.inetPorts()...)
	for _, dir := range x.neighbours() {
		if s, err := read(x.sys, dir); err == nil {
			used = append(used, s.inetPorts()...)
		}
	}
	return used
}

// inetPorts are the ports in master.cf.
func (s *server) inetPorts() []int {
	var all []int
	for i := range s.master.all {
		if v := &s.master.all[i]; v.kind == "inet" {
			_, port := s.listens(v.name)
			all = append(all, port)
		}
	}
	return all
}

// neighbours are the directories of the other instances, also of those that are switched off (MULTI_INSTANCE_README).
func (s *server) neighbours() []string {
	var all []string
	for _, home := range homes {
		all = append(all, home)
		if m, err := (&server{sys: s.sys, dir: home}).readMain(); err == nil {
			all = append(all, m.list("multi_instance_directories")...)
		}
	}
	return slices.DeleteFunc(all, func(dir string) bool { return path.Clean(dir) == path.Clean(s.dir) })
}
