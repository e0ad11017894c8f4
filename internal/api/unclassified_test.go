package api_test

import (
	"net/http"
	"strings"
	"testing"

	"ukai/internal/api/apitest"
	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

func TestRepliesThatNoRuleKnowsAreListedShownAndForgotten(t *testing.T) {
	x, _, c := open(t)
	ctx := t.Context()
	if f, err := c.ForgetUnclassified(ctx, 0); err != nil || f.Count != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	empty, err := c.Unclassified(ctx, "", 0)
	if err != nil || empty.Entries == nil || len(empty.Entries) != 0 {
		t.Fatalf("%+v, %v", empty, err)
	}
	o := &outcome.Outcome{Provider: "example.org", Phase: outcome.EndOfData, Reply: mail.Reply{Code: 550, Lines: []string{"very low standing of the sending IP, says ann@example.com"}}}
	for range 3 {
		x.Unclassified.Note(o, classify.Verdict{Class: classify.Unclassified}, apitest.Start)
	}
	if err := x.Unclassified.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := c.Unclassified(ctx, "example.org", 10)
	if err != nil || len(list.Entries) != 1 || list.Entries[0].Count != 3 || strings.Contains(list.Entries[0].Text, "ann") {
		t.Fatalf("%+v, %v", list, err)
	}
	id := list.Entries[0].ID
	r, err := c.UnclassifiedReply(ctx, id)
	if err != nil || r.Count != 3 || len(r.Near) == 0 || r.Near[0].Rule == "" {
		t.Errorf("%+v, %v", r, err)
	}
	if none, err := c.Unclassified(ctx, "example.net", 10); err != nil || len(none.Entries) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
	if f, err := c.ForgetUnclassified(ctx, id); err != nil || f.Count != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	_, err = c.UnclassifiedReply(ctx, id)
	refused(t, "show what is forgotten", err, http.StatusNotFound)
	_, err = c.ForgetUnclassified(ctx, id)
	refused(t, "forget twice", err, http.StatusNotFound)
	if f, err := c.ForgetUnclassified(ctx, 0); err != nil || f.Count != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
