package cli

import (
	"slices"
	"testing"

	"ukai/internal/api/apitest"
	"ukai/internal/connect"
	"ukai/internal/servers"
)

func TestWhatWasFoundChangedIsToldToUkai(t *testing.T) {
	x, r := book(t, "")
	registered(t, r, false)
	st := &connect.Status{Files: []connect.FileStatus{
		{Path: "/etc/postfix/main.cf", Drift: connect.Damaged}, {Path: "/etc/postfix/master.cf", Drift: connect.Edited}, {Path: "/etc/postfix/ukai_net", Drift: connect.Gone},
	}}
	if err := r.drift(t.Context(), "Box", servers.Drift{At: apitest.Now, Files: driftedFiles(st)}); err != nil {
		t.Fatal(err)
	}
	s, err := x.Steering.Servers.Get("box")
	if err != nil || !s.Drift.At.Equal(apitest.Now) || !slices.Equal(s.Drift.Files, []string{"/etc/postfix/main.cf", "/etc/postfix/ukai_net"}) {
		t.Errorf("%+v, %v", s.Drift, err)
	}
}
