package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"strings"
	"time"

	"ukai/internal/config"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/notify"
)

// openNotify makes what tells people, and hands it the incidents that are open.
func (a *App) openNotify(ctx context.Context, cfg *config.Config) (err error) {
	a.notify, err = notify.Open(ctx, notify.Parts{
		DB: a.db, Log: a.log.With("room", "notify"), Name: func(id string) string { return a.providers.Name(id) }, Mail: a.mailNotice, Check: a.answers, Current: a.incidents.Current, Host: cfg.Name(),
	}, a.notifyOptions(cfg))
	if err != nil {
		return err
	}
	return a.notify.Restore(ctx, a.incidents.List(), time.Now())
}

// notifyOptions hands the settings on. In the file, 0 means never.
func (a *App) notifyOptions(cfg *config.Config) notify.Options {
	c := &cfg.Notify
	o := notify.Options{GroupInterval: c.GroupInterval, Repeat: never(c.Repeat), Escalate: never(c.Escalate), PerHour: c.PerHour, All: c.Send == config.SendAll,
		Heartbeat: notify.Heartbeat{URL: string(c.Heartbeat.URL), Every: c.Heartbeat.Every, Post: c.Heartbeat.Method == http.MethodPost}}
	o.Quiet.From, o.Quiet.To = c.Quiet()
	o.Quiet.Through = []incident.Kind{}
	for _, k := range c.QuietThrough {
		o.Quiet.Through = append(o.Quiet.Through, incident.Kind(k))
	}
	for i := range c.Channels {
		x := &c.Channels[i]
		o.Channels = append(o.Channels, notify.ChannelOptions{
			Name: x.Name, Kind: notify.Kind(x.Kind), Level: x.Level, URL: string(x.URL), Token: string(x.Token), To: x.To, From: x.From,
			Command: x.Command, Lang: i18n.Lang(x.Lang), Timeout: x.Timeout,
		})
	}
	return o.Scaled(a.opts.Speed)
}

func never(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// answers asks the main loops: it fits notify.Parts.Check. A loop that hangs holds its lock, and this call with it.
func (a *App) answers(ctx context.Context) error {
	if why := a.queue.Stats().Broken; why != "" {
		return fmt.Errorf("the queue is broken: %s", why)
	}
	a.dispatch.Load()
	a.health.States()
	a.incidents.List()
	if err := a.db.Read.PingContext(ctx); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// errNoWay is why a notice is not sent as mail.
var errNoWay = errors.New("no healthy way out leads to any of the recipients")

// mailNotice queues a notice for those recipients to whom a way is open: one that waits behind the trouble it tells of is no
// notice. It fits notify.Parts.Mail.
func (a *App) mailNotice(ctx context.Context, m *notify.Mail) error {
	host := a.config().Name()
	env := &mail.Envelope{From: m.From, FromHdr: mail.Domain("@" + host)}
	for _, to := range m.To {
		if a.wayOpen(ctx, mail.Domain(to)) {
			env.Recipients = append(env.Recipients, mail.Recipient{Addr: to, Notify: mail.NotifyNever})
		}
	}
	if len(env.Recipients) == 0 {
		return errNoWay
	}
	from := m.From
	if from == "" {
		from = "ukai@" + host
	}
	draft, err := a.queue.Create(env)
	if err != nil {
		return fmt.Errorf("queue the notice: %w", err)
	}
	defer draft.Abort()
	env.MessageID = env.ID.String() + "@" + host
	if _, err := draft.Write(noticeMail(m, from, env.MessageID, time.Now())); err != nil {
		return fmt.Errorf("queue the notice: %w", err)
	}
	if err := draft.Commit(ctx, nil); err != nil {
		return fmt.Errorf("queue the notice: %w", err)
	}
	a.journal.Record(journal.Event{At: time.Now(), Msg: env.ID, Kind: journal.Accepted, Recipients: m.To, MessageID: env.MessageID, Size: env.Size, Why: "app.notice"})
	return nil
}

func (a *App) config() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg
}

// wayOpen tells whether any egress has a healthy path to whoever receives for a domain.
func (a *App) wayOpen(ctx context.Context, domain string) bool {
	id := a.receives(ctx, domain)
	if id == "" {
		return false
	}
	for _, egress := range a.egresses() {
		switch a.health.Path(egress, id).State {
		case health.Healthy, health.Recovering:
			return true
		}
	}
	return false
}

// noticeMail writes a notice as a message. Auto-Submitted keeps vacation programs from answering (RFC 3834, section 5).
func noticeMail(m *notify.Mail, from, id string, now time.Time) []byte {
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"Date", now.Format(time.RFC1123Z)}, {"From", "ukai <" + from + ">"}, {"To", strings.Join(m.To, ",\r\n ")},
		{"Subject", folded(m.Subject)}, {"Message-ID", "<" + id + ">"}, {"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(m.Body, "\n", "\r\n"))) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// folded encodes a subject (RFC 2047), a line for each encoded word: a line has at most 76 characters then (section 2).
func folded(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}
