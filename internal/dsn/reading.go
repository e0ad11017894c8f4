package dsn

import (
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Kind says what a mail that came to a bounce address is.
type Kind string

// The kinds. The names of the last four are also classes of package classify.
const (
	Bounce    Kind = "bounce"          // it reports failures or delays, each with its reason
	Success   Kind = "delivered"       // it reports only deliveries (RFC 3464, action delivered, relayed or expanded)
	Complaint Kind = "feedback_report" // a person called it spam (ARF, RFC 5965)
	AutoReply Kind = "auto_reply"      // vacation, challenge, receipt: a machine answers, nothing failed
	Ordinary  Kind = "not_bounce"      // mail that a person or a program wrote for other ends
)

// Reading is what a mail says about other mail. It owns its strings: nothing points into the mail that was read.
type Reading struct {
	Kind   Kind
	Format string // how it was told: "rfc3464", "qmail", "exim", "sendmail", "exchange", ...; "" for what is no report
	// Date is the Date field; zero where there is none that can be read. Do not trust it for order.
	Date    time.Time
	From    string // address of the From field: who reports
	Subject string // decoded
	// Reporter is the name of the MTA that gave up (Reporting-MTA, or what the text says).
	Reporter string
	// To are the addresses that it was sent to (To, Delivered-To, X-Original-To, ... and Return-Path of the original): in one of
	// them stands our token, if there is one.
	To      []string
	Results []Result
	// Words is what the part for people says, without the sentences that say nothing about a reason. One line, shortened.
	Words string
	// Original is what is known of the message that it is about.
	Original Original
	// Skipped says in English what was not looked at and why ("part 1025 and those after it: too many parts").
	Skipped []string
}

// Result is what a report says of one recipient.
type Result struct {
	Recipient string // Final-Recipient, or the address that the text names; "" when it names none
	Given     string // Original-Recipient, where it differs
	Action    Action
	Status    mail.Status
	Reply     mail.Reply // the remote server's words, all lines; Code 0: only Text is known
	// Text is the reason as reported: Diagnostic-Code without its type, or the sentence of a free form. One line.
	Text string
	// Words is what the part for people says of this recipient, where Text is what the part for programs says.
	Words string
	Host  string // who refused (Remote-MTA, or what the text says)
	Phase outcome.Phase
	// PhaseKnown tells Lookup from "the report does not say".
	PhaseKnown bool
}

// Original is the message that a report is about, as far as the report shows it.
type Original struct {
	MessageID  string // without angle brackets
	EnvID      string // Original-Envelope-Id (RFC 3464, section 2.2.1)
	ReturnPath string
	From       string
	To         string
	Subject    string // decoded
	Date       time.Time
	// Arrival is Arrival-Date of the report (RFC 3464, section 2.2.5).
	Arrival  time.Time
	SourceIP string // ARF: Source-IP
}
