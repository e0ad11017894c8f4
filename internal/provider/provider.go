// Package provider recognises the mailbox provider that really receives for a domain.
//
// In 2019 one decision of one provider refused mail to gmail.com and to thousands of customers' own domains, and each of
// those had to be found by its bounce. What they had in common was visible all the time: the MX record. A provider is
// therefore recognised by the names of the MX hosts, never by the recipient's domain alone.
package provider

// ID names a provider: "google", "microsoft-365", "icloud", or, for one that the catalogue does not know,
// the registrable domain of its MX hosts ("example.net").
type ID = string
