package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ukai/internal/incident"
)

// requests make the request of each kind that is spoken to by HTTP, as the service documents it.
var requests = map[Kind]func(o *ChannelOptions, m *Notice) (*call, error){
	Webhook: webhook, Slack: slack, Discord: discord, Teams: teams, Telegram: telegram, Ntfy: ntfy, LINE: line, Chatwork: chatwork,
}

// The headers of a webhook.
const (
	headerTimestamp = "X-Ukai-Timestamp" // Unix seconds
	headerSignature = "X-Ukai-Signature" // "sha256=" and the HMAC in hexadecimal
	headerDelivery  = "X-Ukai-Delivery"  // ID of the notice
)

// payload is the body of a webhook, and what a command reads from its standard input.
type payload struct {
	ID       string             `json:"id"`
	At       time.Time          `json:"at"`
	News     incident.News      `json:"news"`
	Lang     string             `json:"lang"`
	Title    string             `json:"title"`
	Text     string             `json:"text"`
	Incident *incident.Incident `json:"incident,omitempty"`
	Words    *incident.Words    `json:"words,omitempty"`
}

func payloadOf(m *Notice) payload {
	p := payload{ID: m.ID, At: m.At, News: m.News, Lang: string(m.Lang), Title: m.Title, Text: m.Body(), Words: m.Words}
	if m.Event != nil {
		p.Incident = &m.Event.Incident
	}
	return p
}

// webhook posts everything there is. With a token the body is signed together with the time, so that the receiver can refuse
// both what somebody else wrote and what was recorded and is played again.
func webhook(o *ChannelOptions, m *Notice) (*call, error) {
	c, err := asJSON(o.URL, payloadOf(m), map[string]string{headerDelivery: m.ID})
	if err != nil || o.Token == "" {
		return c, err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	c.header[headerTimestamp] = stamp
	c.header[headerSignature] = "sha256=" + sign(o.Token, stamp, c.body)
	return c, nil
}

// sign returns the HMAC-SHA-256 (RFC 2104) of the time, a dot and the body.
func sign(key, stamp string, body []byte) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(stamp + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// slack posts to an incoming webhook: Block Kit, with a text for the notification
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). A header takes 150 characters, a section 3000.
func slack(o *ChannelOptions, m *Notice) (*call, error) {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	block := func(kind, textKind, text string) map[string]any {
		return map[string]any{"type": kind, "text": map[string]any{"type": textKind, "text": text}}
	}
	return asJSON(o.URL, map[string]any{
		"text": escape(m.Title),
		"blocks": []any{
			block("header", "plain_text", cut(m.Title, 150)),
			block("section", "mrkdwn", escape(cut(m.Body(), 2400))), // room for what escape adds
		},
	}, nil)
}

// The colours of a bar beside a message.
const (
	red   = 0xc62828
	green = 0x2e7d32
)

// discord executes a webhook with one embed (https://docs.discord.com/developers/resources/webhook): a title of 256 characters, a
// description of 4096. Nobody is mentioned, whatever the texts have in them.
func discord(o *ChannelOptions, m *Notice) (*call, error) {
	colour := green
	if m.Bad() {
		colour = red
	}
	return asJSON(o.URL, map[string]any{
		"username":         "ukai",
		"embeds":           []any{map[string]any{"title": cut(m.Title, 256), "description": cut(m.Body(), 4096), "color": colour, "timestamp": m.At.UTC().Format(time.RFC3339)}},
		"allowed_mentions": map[string]any{"parse": []string{}},
	}, nil)
}

// teams posts an Adaptive Card to the webhook of a workflow ("Post to a channel when a webhook request is received"); connectors
// of Office 365 are no more (https://learn.microsoft.com/power-automate/teams/send-a-message-in-teams).
func teams(o *ChannelOptions, m *Notice) (*call, error) {
	colour := "Good"
	if m.Bad() {
		colour = "Attention"
	}
	body := []any{map[string]any{"type": "TextBlock", "text": m.Title, "weight": "Bolder", "size": "Medium", "color": colour, "wrap": true}}
	for _, l := range m.Lines {
		body = append(body, map[string]any{"type": "TextBlock", "text": cut(l, 2000), "wrap": true, "spacing": "Small"})
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body,
		"msteams": map[string]any{"width": "Full"}}
	return asJSON(o.URL, map[string]any{
		"type":        "message",
		"attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card}},
	}, nil)
}

// telegram calls sendMessage of the Bot API (https://core.telegram.org/bots/api#sendmessage), with at most 4096 characters and
// without parse_mode: what a receiver has said is never markup.
func telegram(o *ChannelOptions, m *Notice) (*call, error) {
	return asJSON(o.address("https://api.telegram.org", "/bot"+o.Token+"/sendMessage"), map[string]any{
		"chat_id": o.first(), "text": cut(m.Text(), 4096), "link_preview_options": map[string]any{"is_disabled": true},
		"disable_notification": !m.Bad(),
	}, nil)
}

// ntfy publishes as JSON to the root of the server (https://docs.ntfy.sh/publish/#publish-as-json); a message has at most 4096
// octets.
func ntfy(o *ChannelOptions, m *Notice) (*call, error) {
	priority, tag := 3, "white_check_mark"
	if m.Bad() {
		priority, tag = 4, "rotating_light"
	}
	header := map[string]string{}
	if o.Token != "" {
		header["Authorization"] = "Bearer " + o.Token
	}
	return asJSON(o.address("https://ntfy.sh", "/"), map[string]any{
		"topic": o.first(), "title": cut(m.Title, 250), "message": cut(m.Body(), 1300), "priority": priority, "tags": []string{tag},
	}, header)
}

// line pushes a text with the LINE Messaging API (https://developers.line.biz/en/reference/messaging-api/#send-push-message), at
// most 5000 characters. The retry key makes a second attempt harmless.
func line(o *ChannelOptions, m *Notice) (*call, error) {
	return asJSON(o.address("https://api.line.me", "/v2/bot/message/push"), map[string]any{
		"to":       o.first(),
		"messages": []any{map[string]any{"type": "text", "text": cut(m.Text(), 5000)}},
	}, map[string]string{"Authorization": "Bearer " + o.Token, "X-Line-Retry-Key": uuid()})
}

// uuid returns a random UUID (RFC 9562, section 5.4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// chatwork posts a message to a room (https://developer.chatwork.com/reference/post-rooms-room_id-messages). Its notation is in
// square brackets; those of the texts are made full-width, so that nobody is called by what a receiver has said.
func chatwork(o *ChannelOptions, m *Notice) (*call, error) {
	plain := strings.NewReplacer("[", "［", "]", "］").Replace
	form := url.Values{
		"body":        {"[info][title]" + plain(m.Title) + "[/title]" + plain(cut(m.Body(), 5000)) + "[/info]"},
		"self_unread": {"1"},
	}
	return &call{
		url:    o.address("https://api.chatwork.com", "/v2/rooms/"+url.PathEscape(o.first())+"/messages"),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-ChatWorkToken": o.Token},
		body:   []byte(form.Encode()),
	}, nil
}
