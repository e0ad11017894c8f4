// Package provider recognises the mailbox provider that really receives for a domain.
//
// In 2019 one decision of one provider refused mail to gmail.com and to thousands of customers' own domains, and each of
// those had to be found by its bounce. What they had in common was visible all the time: the MX record. A provider is
// therefore recognised by the names of the MX hosts, never by the recipient's domain alone.
//
// # How a name is recognised
//
// The catalogue (catalogue.toml) lists suffixes of MX host names. A suffix matches at a dot and the longest one wins, so
// "mail.protection.outlook.com" (Microsoft 365) and "olc.protection.outlook.com" (Outlook.com) are told apart, and
// "notgoogle.com" is not Google. The host that is asked is the most preferred one, because that host is the one that will
// accept or refuse: a company that receives by itself and has a backup MX elsewhere is its own provider. A host that the
// catalogue does not know stands for the registrable domain it lies in ("mx3.example.co.uk": "example.co.uk"), by the
// public suffix list.
//
// # What an ID stands for
//
// An ID names who decides about an IP address, which is what a path (egress and provider) is about. Gmail and Google
// Workspace are two rows of the catalogue and one ID: one refusal by either says something about both. Outlook.com and
// Microsoft 365 have block lists of their own, and an ID each. IDs of the catalogue have no dot, registrable domains and
// address literals do, so the two never meet.
//
// A gateway (Proofpoint, Mimecast, ...) hides the mailbox host behind it; for the question "does it take mail from this
// IP" the gateway is the one to ask, so it has an ID as any other. Match.Gateway says that there is somebody behind.
package provider

// ID names a provider: "google", "microsoft-365", "icloud", or, for one that the catalogue does not know,
// the registrable domain of its MX hosts ("example.net"), or an address literal ("[192.0.2.1]").
type ID = string
