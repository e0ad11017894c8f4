package api

import (
	"time"

	"ukai/internal/i18n"
	"ukai/internal/watch"
)

// Source is a log or a mailbox that tells what other mail servers meet.
type Source struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind" enum:"log,maildir,imap"`
	Where   string    `json:"where"`
	Since   time.Time `json:"since" doc:"when it was started with the present settings"`
	Contact time.Time `json:"contact,omitzero" doc:"when it was last seen to be there"`
	Read    int64     `json:"read" doc:"lines or mails"`
	watch.Counts
	Trouble *Words `json:"trouble,omitempty" doc:"what keeps it from being read"`
}

// Words is a sentence in each language.
type Words struct {
	EN string `json:"en"`
	JA string `json:"ja"`
}

// In returns the sentence in a language.
func (w *Words) In(l i18n.Lang) string {
	if l == i18n.JA {
		return w.JA
	}
	return w.EN
}

func (p *Parts) sources() []Source {
	if p.Watch == nil {
		return nil
	}
	var all []Source
	for _, s := range p.Watch.Status() {
		w := Source{Name: s.Name, Kind: s.Kind, Where: s.Where, Since: s.Since, Contact: s.Contact, Read: s.Read, Counts: s.Counts}
		if s.Trouble != nil {
			w.Trouble = &Words{i18n.ErrorText(i18n.EN, s.Trouble), i18n.ErrorText(i18n.JA, s.Trouble)}
		}
		all = append(all, w)
	}
	return all
}
