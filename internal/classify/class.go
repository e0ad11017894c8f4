package classify

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Class is what can be the matter with a mail, and what follows from it. The set is closed: rules sort replies into it, all
// behaviour hangs on it.
type Class struct {
	Name  string `toml:"name"`
	Group string `toml:"group"` // ip, rate, domain, content, policy, recipient, route, server, none, mail
	Blame Blame  `toml:"blame"`
	Scope Scope  `toml:"scope"`
	// Acts says who can mend it: sender, operator, domain-owner, recipient, receiver, nobody.
	Acts string `toml:"acts"`
	// Temporary and Permanent are what becomes of the recipient after a 4xx and after a 5xx.
	Temporary Action `toml:"temporary"`
	Permanent Action `toml:"permanent"`
	// Detour: another egress would likely be accepted. Reputation: it is evidence against the path.
	Detour     bool `toml:"detour"`
	Reputation bool `toml:"reputation"`
	// Listed: the text may name a blocklist.
	Listed bool `toml:"listed"`
	// Named: it is about a blocklist, so a host name that stands where a list is named is one.
	Named bool `toml:"named"`
	// Local: an outcome without a reply can be of this class.
	Local bool `toml:"local"`
	// Mail: a kind of mail (a report, an automatic answer), not a refusal. No rule can give it.
	Mail bool `toml:"mail"`
}

// Names of the classes that the code itself gives.
const (
	Delivered    = "delivered"
	Unclassified = "unclassified"

	networkError  = "network_error"
	domainUnknown = "domain_unknown"
	tlsFailure    = "tls_failure"
	protocolError = "protocol_error"
)

//go:embed classes.toml
var classesFile []byte

var loadClasses = sync.OnceValues(func() ([]Class, error) {
	var f struct {
		Class []Class `toml:"class"`
	}
	if err := toml.Unmarshal(classesFile, &f); err != nil {
		return nil, fmt.Errorf("classes.toml: %w", err)
	}
	for i := range f.Class {
		if f.Class[i].Temporary == "" {
			f.Class[i].Temporary = Retry
		}
		if f.Class[i].Permanent == "" {
			f.Class[i].Permanent = Fail
		}
	}
	return f.Class, nil
})

// Classes returns all classes. It fails only when the embedded file is broken, which a test rules out.
func Classes() ([]Class, error) { return loadClasses() }

// NameKey and WhatKey are the keys of the message catalogue for a class: its name, and a sentence that says what happened.
func NameKey(class string) string { return "classify.class." + class }

// WhatKey is described at NameKey.
func WhatKey(class string) string { return "classify.what." + class }
