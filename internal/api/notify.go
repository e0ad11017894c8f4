package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/incident"
	"ukai/internal/notify"
)

// SilenceRequest keeps notices back. Empty fields select every incident.
type SilenceRequest struct {
	Incident int64         `json:"incident,omitempty" minimum:"0"`
	Kind     incident.Kind `json:"kind,omitempty" enum:"reputation,sender,content"`
	Place    string        `json:"place,omitempty" maxLength:"253" doc:"network or sender domain"`
	Until    time.Time     `json:"until"`
	Why      string        `json:"why" minLength:"1" maxLength:"500"`
	By       string        `json:"by,omitempty" maxLength:"100"`
}

type channelPath struct {
	Channel string `path:"channel" doc:"name of a channel"`
}

type sentQuery struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"100"`
}

type silenceOrder struct{ Body SilenceRequest }

type silencePath struct {
	ID int64 `path:"id" minimum:"1"`
}

func (p *Parts) registerNotify(a huma.API) {
	if p.Notify == nil {
		return
	}
	register(a, "GET /v1/notify", "notify-status", "channels, silences, heartbeat", p.notifyStatus)
	register(a, "GET /v1/notify/log", "notify-log", "what was sent, newest first", p.notifyLog)
	register(a, "POST /v1/notify/channels/{channel}/test", "notify-test", "send a test notice", p.notifyTest)
	register(a, "POST /v1/notify/silences", "notify-silence", "keep notices back for a while", p.notifySilence)
	register(a, "POST /v1/notify/silences/{id}/end", "notify-unsilence", "end a silence", p.notifyUnsilence)
}

func (p *Parts) notifyStatus(context.Context, *none) (*body[notify.Status], error) {
	return answer(p.Notify.Status(p.Now())), nil
}

func (p *Parts) notifyLog(ctx context.Context, q *sentQuery) (*body[[]notify.Sent], error) {
	list, err := p.Notify.Sends(ctx, q.Limit)
	if err != nil {
		return nil, failed(err)
	}
	return answer(listed(list)), nil
}

// notifyTest answers with the result: that a channel does not work is no error of the question.
func (p *Parts) notifyTest(ctx context.Context, in *channelPath) (*body[notify.Result], error) {
	r, err := p.Notify.Test(ctx, in.Channel)
	if errors.Is(err, notify.ErrNoChannel) {
		return nil, huma.Error404NotFound("there is no channel " + in.Channel)
	}
	if err != nil {
		return nil, failed(err)
	}
	return answer(r), nil
}

func (p *Parts) notifySilence(ctx context.Context, in *silenceOrder) (*body[notify.Silence], error) {
	b := &in.Body
	s, err := p.Notify.Silence(ctx, notify.Silence{Incident: b.Incident, Kind: b.Kind, Place: b.Place, Until: b.Until, Why: b.Why, By: b.By}, p.Now())
	switch {
	case errors.Is(err, notify.ErrNoReason), errors.Is(err, notify.ErrNoEnd):
		return nil, huma.Error422UnprocessableEntity(err.Error())
	case err != nil:
		return nil, failed(err)
	}
	return answer(s), nil
}

func (p *Parts) notifyUnsilence(ctx context.Context, in *silencePath) (*body[notify.Silence], error) {
	s, err := p.Notify.Unsilence(ctx, in.ID, p.Now())
	if errors.Is(err, notify.ErrNoSilence) {
		return nil, huma.Error404NotFound("there is no silence " + strconv.FormatInt(in.ID, 10))
	}
	if err != nil {
		return nil, failed(err)
	}
	return answer(s), nil
}

// Notify returns how the notices do.
func (c *Client) Notify(ctx context.Context) (s notify.Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/notify", nil, &s)
	return s, err
}

// NotifyLog lists the newest records of notices, at most limit.
func (c *Client) NotifyLog(ctx context.Context, limit int) (list []notify.Sent, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/notify/log?limit="+strconv.Itoa(limit), nil, &list)
	return list, err
}

// NotifyTest sends a test notice by a channel.
func (c *Client) NotifyTest(ctx context.Context, channel string) (r notify.Result, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/notify/channels/"+url.PathEscape(channel)+"/test", nil, &r)
	return r, err
}

// Silence keeps notices back, Unsilence ends that.
func (c *Client) Silence(ctx context.Context, in *SilenceRequest) (s notify.Silence, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/notify/silences", in, &s)
	return s, err
}

// Unsilence is described at Silence.
func (c *Client) Unsilence(ctx context.Context, id int64) (s notify.Silence, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/notify/silences/"+strconv.FormatInt(id, 10)+"/end", nil, &s)
	return s, err
}
