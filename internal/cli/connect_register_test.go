package cli

import (
	"os"
	"strings"
	"testing"

	"ukai/internal/api"
	"ukai/internal/api/apitest"
	"ukai/internal/connect"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
)

// book serves an inside of ukai and returns who registers servers with it, below a root of the test's own.
func book(t *testing.T, egress string) (*apitest.Inside, *registrar) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli") // t.TempDir is too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	x := apitest.New(t, dir)
	x.Serve(t, dir)
	var out, errs strings.Builder
	e := at(&out, &errs, map[string]string{"UKAI_DATA": dir})
	r, err := e.newRegistrar(t.TempDir(), "", egress)
	if err != nil {
		t.Fatal(err)
	}
	return x, r
}

// registered registers a Postfix and returns what the operator is told.
func registered(t *testing.T, r *registrar, dry bool) (told []string) {
	t.Helper()
	_, err := r.Register(t.Context(), connect.Registration{
		Server: "box", Instance: mtaconf.Instance{MTA: mtaconf.Postfix, Dir: "/etc/postfix"}, Mode: mtaconf.Steer, Peer: "127.0.0.1:2525",
		Routes: []mtaconf.RouteFile{{Path: "/etc/postfix/ukai_transport", Format: mtaconf.PostfixTransport}}, Dry: dry,
		Tell: func(n mtaconf.Note) { told = append(told, i18n.Text(i18n.EN, n.Key, n.Args...)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func TestWhatAServerCountsAsSendingFromIsTold(t *testing.T) {
	for egress, want := range map[string]string{
		"":      "counts as sending from the egress direct of ukai",
		"relay": "counts as sending from the egress relay of ukai",
		"none":  "its paths go by the name box",
	} {
		t.Run("egress "+egress, func(t *testing.T) {
			x, r := book(t, egress)
			for _, dry := range []bool{true, false} {
				if told := registered(t, r, dry); len(told) != 1 || !strings.Contains(told[0], want) {
					t.Errorf("told %q", told)
				}
			}
			r.egress = "" // the same command without the word changes nothing
			if told := registered(t, r, false); len(told) != 1 || !strings.Contains(told[0], want) {
				t.Errorf("told %q", told)
			}
			s, err := x.Steering.Servers.Get("box")
			if err != nil || egress == "none" && s.PathName() != "box" {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestFilesThatUkaiMayNotWriteAreToldLastWithWhatToRun(t *testing.T) {
	x, r := book(t, "none")
	x.Steering.Unkept = func(s *servers.Server) *api.Unkept {
		return &api.Unkept{File: s.Routes[0].Path, Cause: "write in /etc/postfix: read-only file system"}
	}
	told := registered(t, r, false)
	last := told[len(told)-1]
	for _, want := range []string{
		"/etc/postfix/ukai_transport", "read-only file system", `relay = "127.0.0.1:2525"`, `agents = "127.0.0.1:8027"`,
		"ukai servers remove box && ukai servers add box --egress none", "ukai-agent.service",
	} {
		if !strings.Contains(last, want) {
			t.Errorf("%q is not told: %s", want, last)
		}
	}
}
