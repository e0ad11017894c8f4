package intake

import (
	"context"
	"errors"
	"time"

	"ukai/internal/account"
	"ukai/internal/guard"
	"ukai/internal/mail"
	"ukai/internal/smtpserver"
)

// What a client is told that is not admitted, or cannot be checked at the moment.
var (
	authRequired = mail.NewReply(530, mail.Status{Class: 5, Subject: 7}, "Authentication required")
	localTrouble = mail.NewReply(451, mail.Status{Class: 4, Subject: 3}, "local error, try again later")
)

// Mail implements smtpserver.Handler.
func (in *Intake) Mail(ctx context.Context, s *smtpserver.Session, env *mail.Envelope) *mail.Reply {
	req, reply := in.request(ctx, s, env)
	if reply != nil {
		if reply.Permanent() && in.bounceDesk(s) != nil {
			return nil // it may be a report: RCPT tells
		}
		return reply
	}
	return in.refuse(s, env, in.guard.Check(time.Now(), req))
}

// Rcpt implements smtpserver.Handler.
func (in *Intake) Rcpt(ctx context.Context, s *smtpserver.Session, env *mail.Envelope, rcpt mail.Recipient) *mail.Reply {
	now := time.Now()
	if desk := in.bounceDesk(s); desk != nil {
		if reply, ours := desk.rcpt(env, rcpt.Addr, now); ours {
			return reply
		}
	}
	req, reply := in.request(ctx, s, env)
	if reply != nil {
		return reply
	}
	if reply := in.spare(ctx, s, env, rcpt.Addr, now); reply != nil {
		return reply
	}
	return in.refuse(s, env, in.guard.Recipient(now, req))
}

// spare refuses a recipient that is known not to exist. Where the book cannot be read, the recipient is taken: its own server
// will say.
func (in *Intake) spare(ctx context.Context, s *smtpserver.Session, env *mail.Envelope, addr string, now time.Time) *mail.Reply {
	if in.suppress == nil {
		return nil
	}
	e, err := in.suppress.Admit(ctx, addr, now)
	if err != nil {
		in.log.Warn("suppressed recipients not known", "error", err)
	}
	if e == nil {
		return nil
	}
	in.log.Info("recipient refused", "why", "suppressed", "recipient", addr, "account", s.Account, "client", s.Client.Addr().String(), "from", env.From)
	reply := mail.NewReply(550, mail.Status{Class: 5, Subject: 1, Detail: 1}, e.English())
	return &reply
}

// request finds out who the client is for the guard, or why it is nobody.
func (in *Intake) request(ctx context.Context, s *smtpserver.Session, env *mail.Envelope) (guard.Request, *mail.Reply) {
	p := in.rules.Load().policies[s.Listener]
	req := guard.Request{Client: s.Client.Addr(), Sender: env.From}
	if s.Account != "" && p.Accounts {
		a, err := in.accounts.Current(ctx, s.Account)
		switch {
		case errors.Is(err, account.ErrUnknown): // deleted since it logged in
			return req, &authRequired
		case err != nil:
			in.log.Error("account not checked", "account", s.Account, "error", err)
			return req, &localTrouble
		}
		req.Account = a
		return req, nil
	}
	if !p.AccountsOnly && p.Relay.Allows(s.Client.Addr()) {
		return req, nil
	}
	if p.Accounts {
		return req, &authRequired
	}
	return req, guard.Decision{Reason: guard.NoRelay}.Reply()
}

func (in *Intake) refuse(s *smtpserver.Session, env *mail.Envelope, d guard.Decision) *mail.Reply {
	if !d.OK() {
		in.log.Info("mail refused", "why", d.Reason.String(), "account", s.Account, "client", s.Client.Addr().String(), "from", env.From)
	}
	return d.Reply()
}
