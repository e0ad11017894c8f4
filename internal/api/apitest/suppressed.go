package apitest

import (
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/suppress"
)

// tellSuppressed has two recipients refused: one twice, a day apart, the other once, by a report.
func tellSuppressed(t testing.TB, x *Inside) {
	t.Helper()
	v := classify.Verdict{Class: "user_unknown", Blame: classify.BlameRecipient, Scope: classify.ScopeRecipient, Action: classify.Fail}
	for i, n := range []suppress.Notice{
		{At: Start.Add(-26 * time.Hour), Recipient: "gone@example.com", Text: "550 5.1.1 no such user", Host: "mx.example.com"},
		{At: Start.Add(-time.Hour), Recipient: "gone@example.com", Text: "550 5.1.1 no such user", Host: "mx.example.com"},
		{At: Start.Add(-time.Hour), Recipient: "perhaps@example.org", Text: "5.1.1 user unknown", Host: "mail.example.org", Late: true},
	} {
		n.Msg, n.Verdict = mail.ID(n.At.UnixMilli()<<20+int64(i)), v
		if err := x.Suppress.Note(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
	}
}
