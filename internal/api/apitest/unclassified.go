package apitest

import (
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// tellUnclassified lets two replies come that no rule knows.
func tellUnclassified(t testing.TB, x *Inside) {
	t.Helper()
	for n, text := range []string{"very low standing of the sending IP 192.0.2.25, says ann@example.net", "very low standing of the sending IP 192.0.2.25, says bob@example.net", "come back when it rains"} {
		o := &outcome.Outcome{
			Provider: "example.net", Egress: "direct", Phase: outcome.EndOfData,
			Reply: mail.Reply{Code: 550, Status: mail.Status{Class: 5, Subject: 7, Detail: 1}, Lines: []string{"5.7.1 " + text}},
		}
		x.Unclassified.Note(o, classify.Verdict{Class: classify.Unclassified}, Start.Add(time.Duration(n)*time.Minute))
	}
	if err := x.Unclassified.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}
