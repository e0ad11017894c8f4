package rehearse

import "time"

// Report is what a rehearsal found out. Times are real ones: the story runs faster, the mail does not.
type Report struct {
	Scenario string    `json:"scenario"`
	OK       bool      `json:"ok"`     // every expectation holds
	Failed   []Failure `json:"failed"` // those that do not
	Messages Messages  `json:"messages"`
	Domains  int       `json:"domains"`  // recipient domains
	Refusals int       `json:"refusals"` // what providers refused, each recipient and each time
	Detours  int       `json:"detours"`  // messages that arrived by another way than the preferred one
	// RefusalToDelivery is the time from the first refusal of a message to its delivery.
	RefusalToDelivery Spread `json:"refusal_to_delivery_ms"`
	// AcceptedToBounce is the time from the 250 for a message to the arrival of the report that it failed.
	AcceptedToBounce Spread `json:"accepted_to_bounce_ms"`
	// AttemptsOnBlockedPath counts the attempts that began over a path while it was blocked or probing, MailWhileBlocked the
	// messages for its provider that ukai took in meanwhile; BlockedShare is the one divided by the other.
	AttemptsOnBlockedPath int     `json:"attempts_on_blocked_path"`
	MailWhileBlocked      int     `json:"mail_while_blocked"`
	BlockedShare          float64 `json:"blocked_share"`
	// MostWaiting is the most messages that were in the queue at a time.
	MostWaiting int `json:"most_waiting"`
	// Returned tells that every path of the preferred egress is healthy at the end, and those that were shut carry mail again.
	Returned bool `json:"returned"`
	// TimeToReturn is the longest time from the end of a provider's refusals until the preferred path to it was healthy.
	TimeToReturn float64 `json:"time_to_return_ms"`
	Paths        []Path  `json:"paths"` // that were shut
	// Incidents are those that ukai told of.
	Incidents []Incident `json:"incidents"`
	Notices   Notices    `json:"notices"`
	// Cases are those of delisting that ukai opened.
	Cases      []Case  `json:"cases"`
	Complaints int     `json:"complaints"` // what receivers found to be against the protocol
	Steps      []Entry `json:"steps"`
	Speed      float64 `json:"speed"` // of the story: seconds of it in a real one
	Wall       float64 `json:"wall_ms"`
	Example    string  `json:"example,omitempty"`  // Message-ID of a message that took a detour, for ukai trace
	Settings   string  `json:"settings,omitempty"` // of a ukai on the data directory, when that was kept
}

// Messages are the messages of the traffic by what became of them; each has one recipient. The first is the sum of the next four.
type Messages struct {
	Accepted   int `json:"accepted"`   // ukai said 250
	Delivered  int `json:"delivered"`  // arrived
	Bounced    int `json:"bounced"`    // the sender was told that it failed
	Held       int `json:"held"`       // in the queue at the end
	Lost       int `json:"lost"`       // none of these
	Duplicated int `json:"duplicated"` // arrived more than once
	Changed    int `json:"changed"`    // arrived with another content than was sent
	Misjudged  int `json:"misjudged"`  // bounced what was to be delivered, or the other way round
}

// Spread is the middle and the end of some times, in milliseconds; N is how many there were.
type Spread struct {
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
	N   int     `json:"n"`
}

// Attempts are attempts beside the mail there was at the time.
type Attempts struct {
	Attempts int     `json:"attempts"`
	Mail     int     `json:"mail"` // messages for the provider that ukai took in while the path was shut
	Ratio    float64 `json:"ratio"`
}

// Path is a path that was shut for some time.
type Path struct {
	Egress       string   `json:"egress"`
	Provider     string   `json:"provider"`
	State        string   `json:"state"`   // at the end
	Shut         float64  `json:"shut_ms"` // how long it was, altogether
	Attempts     Attempts `json:"attempts"`
	TimeToReturn float64  `json:"time_to_return_ms"` // 0 when it did not return
	Carries      bool     `json:"carries"`           // mail has gone over it since
}

// Failure is an expectation that does not hold.
type Failure struct {
	Expected string  `json:"expected"`
	Got      float64 `json:"got"`
}

// Entry is something that happened in the story: a step of the scenario, or a path that moved.
type Entry struct {
	At   string `json:"at"`   // time of day in the story
	Name string `json:"name"` // of the step; "path" for a path
	Text string `json:"text"`

	Real time.Duration `json:"-"` // since the beginning
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
