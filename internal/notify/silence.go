package notify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ukai/internal/incident"
)

// Silence keeps notices back for a while. Empty fields select everything; those that are set must all fit.
type Silence struct {
	ID       int64         `json:"id"`
	Incident int64         `json:"incident,omitempty"`
	Kind     incident.Kind `json:"kind,omitempty"`
	Place    string        `json:"place,omitempty"` // network or sender domain
	Since    time.Time     `json:"since"`
	Until    time.Time     `json:"until"`
	Why      string        `json:"why"`
	By       string        `json:"by,omitempty"`
}

// Why a silence is not kept.
var (
	ErrNoReason  = errors.New("a silence needs a reason")
	ErrNoEnd     = errors.New("a silence needs an end, in the future")
	ErrNoSilence = errors.New("no such silence")
)

// covers tells whether an incident is silenced.
func (s *Silence) covers(i *incident.Incident) bool {
	return (s.Incident == 0 || s.Incident == i.ID) && (s.Kind == "" || s.Kind == i.Cause.Kind) &&
		(s.Place == "" || strings.EqualFold(s.Place, i.Cause.Place))
}

// Silence keeps notices back from now on. It returns when the silence is stored.
func (n *Notifier) Silence(ctx context.Context, s Silence, now time.Time) (Silence, error) {
	switch {
	case strings.TrimSpace(s.Why) == "":
		return s, ErrNoReason
	case !s.Until.After(now):
		return s, ErrNoEnd
	}
	s.Since = now
	err := n.writeSilence(ctx, &s)
	if err != nil {
		return s, err
	}
	n.mu.Lock()
	n.silences = append(slices.DeleteFunc(n.silences, func(o Silence) bool { return !o.Until.After(now) }), s)
	n.mu.Unlock()
	n.parts.Log.Info("notices silenced", "silence", s.ID, "incident", s.Incident, "until", s.Until, "by", s.By, "why", s.Why)
	n.stir()
	return s, nil
}

// Unsilence ends a silence before its time.
func (n *Notifier) Unsilence(ctx context.Context, id int64, now time.Time) (Silence, error) {
	n.mu.Lock()
	at := slices.IndexFunc(n.silences, func(s Silence) bool { return s.ID == id && s.Until.After(now) })
	if at < 0 {
		n.mu.Unlock()
		return Silence{}, ErrNoSilence
	}
	s := n.silences[at]
	n.mu.Unlock()
	if err := n.endSilence(ctx, id, now); err != nil {
		return s, err
	}
	s.Until = now
	n.mu.Lock()
	n.silences = slices.DeleteFunc(n.silences, func(s Silence) bool { return s.ID == id })
	n.mu.Unlock()
	n.parts.Log.Info("notices no longer silenced", "silence", id)
	n.stir()
	return s, nil
}
