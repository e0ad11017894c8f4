package smtpclient

import (
	"cmp"
	"time"
)

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Connect:   cmp.Or(t.Connect, 30*time.Second),
		Greeting:  cmp.Or(t.Greeting, 5*time.Minute),
		Ehlo:      cmp.Or(t.Ehlo, 5*time.Minute),
		Command:   cmp.Or(t.Command, 5*time.Minute),
		Data:      cmp.Or(t.Data, 2*time.Minute),
		Block:     cmp.Or(t.Block, 3*time.Minute),
		EndOfData: cmp.Or(t.EndOfData, 10*time.Minute),
	}
}

const (
	// lastWords is how long we wait for a reply when we can no longer write: a server that hangs up often says why.
	lastWords = 2 * time.Second
	// farewell is how long QUIT and its reply may take.
	farewell = 2 * time.Second
)
