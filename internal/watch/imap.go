package watch

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"ukai/internal/dsn"
	"ukai/internal/i18n"
)

// IMAPTLS says how a mailbox is reached.
type IMAPTLS string

// The ways: from the first byte (RFC 8314), after STARTTLS (RFC 9051, section 6.2.1), or not at all, to this machine only.
const (
	IMAPImplicit IMAPTLS = "implicit"
	IMAPStartTLS IMAPTLS = "starttls"
	IMAPPlain    IMAPTLS = "none"
)

// IMAPOptions say which mailbox is read.
type IMAPOptions struct {
	Name     string
	Host     string
	Port     int
	TLS      IMAPTLS
	CA       string // file of authorities that are believed in place of the system's; empty: those of the system
	Username string
	Password string
	Mailbox  string
	Server   string // see Mail
	Egress   string
	// Folder is where reports that were read are moved to; empty: they stay, with a keyword.
	Folder string
	// Poll is how often it is looked into where the server has no IDLE; 0: 1 min.
	Poll time.Duration
}

// doneKeyword is the flag of a report that was read, where the server keeps keywords.
const doneKeyword imap.Flag = "ukai-done"

const (
	fetchSize = 1 << 20          // octets of one mail that are fetched; what a report says stands at its beginning
	idleFor   = 10 * time.Minute // a server may cut off after 30 (RFC 2177); a line that is dead is noticed by then
	saveEvery = time.Second
)

// IMAP reads the reports in a mailbox of another machine. It remembers the last UID that it has read, as long as the mailbox
// keeps its UIDVALIDITY (RFC 9051, section 2.3.1.1), and is told of new mail by IDLE (RFC 2177).
//
// Mail that reports nothing stays as it is, unread.
type IMAP struct {
	gauge
	o      IMAPOptions
	hub    *Hub
	places *Places
	sloppy bool // that reports cannot be marked was told
}

// uidPlace is how far a mailbox was read.
type uidPlace struct {
	Validity uint32   `json:"uidvalidity"`
	Last     imap.UID `json:"last_uid"`
}

// NewIMAP returns a Source that reads a mailbox by IMAP.
func NewIMAP(o IMAPOptions, h *Hub, places *Places, log *slog.Logger) *IMAP {
	if o.Poll == 0 {
		o.Poll = time.Minute
	}
	m := &IMAP{o: o, hub: h, places: places}
	m.log = log.With("source", o.Name)
	m.g = Gauge{Kind: "imap", Where: o.Username + " " + net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) + " " + o.Mailbox}
	return m
}

// Name returns the name in the settings.
func (m *IMAP) Name() string { return m.o.Name }

// Run reads over one connection until ctx ends or the connection breaks.
func (m *IMAP) Run(ctx context.Context, see func(Observation)) error {
	news := make(chan struct{}, 1)
	c, err := m.connect(ctx, news)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // ends what waits for the server
	defer func() {
		stop()
		_ = c.Close()
	}()
	s := &imapSession{IMAP: m, c: c, see: see, news: news}
	if err := s.open(ctx); err != nil {
		return m.broken(ctx, err)
	}
	for {
		err := s.read(ctx)
		if err == nil {
			err = s.wait(ctx)
		}
		if err != nil || ctx.Err() != nil {
			return m.broken(ctx, err)
		}
	}
}

// broken is the error of Run: none when it was told to end.
func (m *IMAP) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil || err == nil {
		return nil //nolint:nilerr // what broke after it was told to end is no trouble
	}
	if _, told := err.(*i18n.Error); told { //nolint:errorlint // only one that is in words already
		return err
	}
	return i18n.Errorf("watch.imap.broken", "host", m.o.Host, "cause", err)
}

// imapSession is one connection with the mailbox open.
type imapSession struct {
	*IMAP
	c     *imapclient.Client
	see   func(Observation)
	news  chan struct{}
	at    uidPlace
	saved uidPlace
	when  time.Time
	mark  imap.Flag // how a report is marked; empty: not at all
}

// open selects the mailbox and finds out where to go on.
func (s *imapSession) open(ctx context.Context) error {
	box, err := s.c.Select(s.o.Mailbox, nil).Wait()
	if err != nil {
		return i18n.Errorf("watch.imap.mailbox", "host", s.o.Host, "user", s.o.Username, "mailbox", s.o.Mailbox, "cause", err)
	}
	if _, err := s.places.load(ctx, s.o.Name, s.o.Mailbox, &s.at); err != nil {
		return err
	}
	if s.at.Validity != box.UIDValidity { // other numbers: what was read is known by its mark only
		s.at = uidPlace{Validity: box.UIDValidity}
	}
	for _, flag := range []imap.Flag{doneKeyword, imap.FlagSeen} {
		if slices.Contains(box.PermanentFlags, flag) || flag == doneKeyword && slices.Contains(box.PermanentFlags, imap.FlagWildcard) {
			s.mark = flag
			break
		}
	}
	s.well(time.Now(), 0)
	return nil
}

// read reads all mail that was not read yet.
func (s *imapSession) read(ctx context.Context) error {
	var set imap.UIDSet
	set.AddRange(s.at.Last+1, 0)
	criteria := &imap.SearchCriteria{UID: []imap.UIDSet{set}}
	if s.mark == doneKeyword {
		criteria.NotFlag = []imap.Flag{doneKeyword}
	}
	found, err := s.c.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return err
	}
	uids := found.AllUIDs()
	slices.Sort(uids)
	for _, uid := range uids {
		if uid <= s.at.Last { // "n:*" always has the last mail, also when n is beyond it (RFC 9051, section 9, seq-range)
			continue
		}
		if err := s.one(ctx, uid); err != nil {
			return err
		}
		s.at.Last = uid
		s.well(time.Now(), 1)
		if err := s.save(ctx, time.Since(s.when) >= saveEvery); err != nil {
			return err
		}
	}
	s.well(time.Now(), 0)
	return s.save(ctx, true)
}

func (s *imapSession) save(ctx context.Context, now bool) error {
	if !now || s.at == s.saved {
		return nil
	}
	if err := s.places.save(ctx, s.o.Name, s.o.Mailbox, s.at); err != nil {
		return err
	}
	s.saved, s.when = s.at, time.Now()
	return nil
}

// one reads one mail.
func (s *imapSession) one(ctx context.Context, uid imap.UID) error {
	fetch := s.c.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{
		InternalDate: true,
		// PEEK: what is no report stays unread.
		BodySection: []*imap.FetchItemBodySection{{Peek: true, Partial: &imap.SectionPartial{Size: fetchSize}}},
	})
	about := Mail{Source: s.o.Name, Server: s.o.Server, Egress: s.o.Egress}
	var reading *dsn.Reading
	var trouble error
	for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataInternalDate:
				about.Arrived = item.Time
			case imapclient.FetchItemDataBodySection:
				if item.Literal != nil {
					reading, trouble = dsn.ReadFrom(item.Literal, fetchSize) // a server may send more than was asked for
				}
			}
		}
	}
	if err := fetch.Close(); err != nil {
		return err
	}
	if trouble != nil || reading == nil { // nil: somebody has deleted it
		return trouble
	}
	if s.hub.report(ctx, about, reading, s.see) {
		return s.done(uid)
	}
	return nil
}

// done marks or moves a report that was read. Where the server does not let us, it stays: its UID is remembered all the same.
func (s *imapSession) done(uid imap.UID) error {
	var err error
	switch {
	case s.o.Folder != "":
		if _, err = s.c.Move(imap.UIDSetNum(uid), s.o.Folder).Wait(); err != nil && alive(s.c) {
			_ = s.c.Create(s.o.Folder, nil).Wait() // if it is there already, the next line tells
			_, err = s.c.Move(imap.UIDSetNum(uid), s.o.Folder).Wait()
		}
	case s.mark != "":
		err = s.c.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{s.mark}}, nil).Close()
	}
	if err != nil && !alive(s.c) {
		return err
	}
	if err != nil && !s.sloppy {
		s.sloppy = true
		s.log.Warn("a report that was read stays as it was", "host", s.o.Host, "mailbox", s.o.Mailbox, "error", err)
	}
	return nil
}

// alive tells whether the connection still stands: then an error was an answer of the server.
func alive(c *imapclient.Client) bool {
	select {
	case <-c.Closed():
		return false
	default:
		return true
	}
}
