package apitest

import (
	"context"
	"errors"
	"testing"
	"time"

	"ukai/internal/notify"
	"ukai/internal/store"
)

// openNotify gives the inside two channels that were not used yet. A test finds that no mail goes out.
func openNotify(t testing.TB, x *Inside, db *store.DB) {
	t.Helper()
	n, err := notify.Open(t.Context(), notify.Parts{
		DB: db, Log: x.Log, Name: func(id string) string { return id }, Host: "mail.example.jp",
		Mail: func(context.Context, *notify.Mail) error { return errors.New("no healthy way out") },
	}, notify.Options{
		Quiet: notify.Quiet{Location: time.UTC},
		Channels: []notify.ChannelOptions{
			{Name: "chat", Kind: notify.Webhook, URL: "http://127.0.0.1:1/"},
			{Name: "noc", Kind: notify.MailKind, Level: 2, To: []string{"noc@example.net"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	x.Notify = n
}
