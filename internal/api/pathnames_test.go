package api_test

import (
	"errors"
	"strings"
	"testing"

	"ukai/internal/api"
	"ukai/internal/health"
	"ukai/internal/i18n"
)

func TestAServerWithPathsOfItsOwnIsSteeredByHand(t *testing.T) {
	x, _, c := open(t)
	x.Watched = func() []string { return []string{"mail.example.jp"} }
	x.Health.Block(health.Key{Egress: "box7", Provider: "icloud"}, health.Pin{At: x.Now()}) // one of many in a log
	for written, want := range map[string]string{"web2": "web2", "WEB2": "web2", "mail.example.jp": "mail.example.jp", "Box7": "box7", "direct": "direct"} {
		if p, err := c.Block(t.Context(), written, "yahoo_jp", api.BlockRequest{}); err != nil || p.Key.Egress != want || p.State != health.Blocked {
			t.Errorf("block %s: %+v, %v", written, p, err)
		}
		if got := x.Health.Path(want, "yahoo_jp"); !got.Pinned {
			t.Errorf("the path of %s is not shut: %+v", want, got)
		}
		if s, err := c.Path(t.Context(), written, "yahoo_jp"); err != nil || s.Path.Pin == nil {
			t.Errorf("show %s: %+v, %v", written, s, err)
		}
		if p, err := c.Clear(t.Context(), written, "yahoo_jp"); err != nil || p.State != health.Healthy {
			t.Errorf("clear %s: %+v, %v", written, p, err)
		}
	}
	for written, want := range map[string]string{
		"web1":    `sends from the egress "direct"`,
		"wbe2":    `Did you mean "web2"? There are: direct, mail.example.jp, relay, web2`,
		"nowhere": `named "nowhere". There are: direct,`,
	} {
		_, err := c.Block(t.Context(), written, "google", api.BlockRequest{})
		var e *i18n.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text(i18n.EN), want) {
			t.Errorf("%s: %v", written, err)
		}
	}
}
