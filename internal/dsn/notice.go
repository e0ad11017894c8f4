package dsn

import (
	"bytes"
	"encoding/json"
)

// notice is what Amazon SES reports by way of SNS: a text that is one JSON object.
// https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
type notice struct {
	Type   string `json:"notificationType"`
	Event  string `json:"eventType"`
	Bounce struct {
		Reporter   string `json:"reportingMTA"`
		Kind       string `json:"bounceType"`
		Sub        string `json:"bounceSubType"`
		Recipients []struct {
			Addr       string `json:"emailAddress"`
			Action     string `json:"action"`
			Status     string `json:"status"`
			Diagnostic string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		Kind       string `json:"complaintFeedbackType"`
		Recipients []struct {
			Addr string `json:"emailAddress"`
		} `json:"complainedRecipients"`
	} `json:"complaint"`
	Delivery struct {
		Reporter   string   `json:"reportingMTA"`
		Recipients []string `json:"recipients"`
		Response   string   `json:"smtpResponse"`
	} `json:"delivery"`
	Mail struct {
		Source   string `json:"source"`
		SourceIP string `json:"sourceIp"`
		Common   struct {
			MessageID string `json:"messageId"`
			Subject   string `json:"subject"`
		} `json:"commonHeaders"`
	} `json:"mail"`
	// Message is the notice itself, in the envelope of SNS.
	Message string `json:"Message"`
}

// notice reads a text that is a notice; ok is false for every other.
func (rd *reader) notice() (ok bool) {
	if len(rd.sources) == 0 {
		return false
	}
	b := bytes.TrimLeft(rd.sources[0].raw, " \t\n")
	if len(b) < 20 || b[0] != '{' || !bytes.Contains(b, []byte("notificationType")) && !bytes.Contains(b, []byte("eventType")) {
		return false
	}
	// Some senders break long lines, which no JSON string may contain: the ends of lines are of no meaning outside of strings.
	b = bytes.ReplaceAll(b, []byte("\n"), []byte(" "))
	var n notice
	if json.NewDecoder(bytes.NewReader(b)).Decode(&n) != nil {
		return false
	}
	if n.Message != "" && json.Unmarshal([]byte(n.Message), &n) != nil {
		return false
	}
	if n.Type == "" {
		n.Type = n.Event
	}
	return rd.noticed(&n)
}

// noticed makes the reading of a notice.
func (rd *reader) noticed(n *notice) bool {
	o := rd.out
	switch n.Type {
	case "Bounce":
		o.Kind, o.Reporter = Bounce, n.Bounce.Reporter
		for _, x := range n.Bounce.Recipients {
			r := Result{Recipient: bareAddr(x.Addr), Action: actionOf([]byte(x.Action)), Status: findStatus(x.Status)}
			_, r.Text = typed([]byte(x.Diagnostic))
			if r.Text == "" {
				r.Text = n.Bounce.Kind + " " + n.Bounce.Sub
			}
			rd.finish(&r)
			rd.result(r)
		}
	case "Complaint":
		o.Kind = Complaint
		for _, x := range n.Complaint.Recipients {
			rd.result(Result{Recipient: bareAddr(x.Addr), Text: clone(n.Complaint.Kind, 100)})
		}
	case "Delivery":
		o.Kind, o.Reporter = Success, n.Delivery.Reporter
		for _, a := range n.Delivery.Recipients {
			r := Result{Recipient: bareAddr(a), Action: Delivered, Text: clone(oneLine([]byte(n.Delivery.Response)), MaxReason)}
			r.Reply = parseReply(r.Text)
			rd.result(r)
		}
	default:
		return false
	}
	o.Format = "ses"
	_, o.Reporter = typed([]byte(o.Reporter))
	o.Original.ReturnPath, o.Original.SourceIP = n.Mail.Source, n.Mail.SourceIP
	o.Original.MessageID = messageID([]byte(n.Mail.Common.MessageID))
	o.Original.Subject = clone(n.Mail.Common.Subject, maxHeaderText)
	rd.sentTo(n.Mail.Source)
	return true
}
