// Package dnsbl asks DNS blocklists, and does not let them fool it.
//
// A DNS blocklist (DNSBL) is a zone of the domain name system: who wants to know about 192.0.2.99 asks for the address of
// 99.2.0.192.list.example, and an answer in 127.0.0.0/8 means "listed", its last octets say why, and a TXT record of the same
// name says it in words; "no such name" means "not listed" (RFC 5782). For an IPv6 address the 32 nibbles are reversed, and
// for a domain its name is put in front of the zone as it is.
//
// So much for the standard. What comes back in practice is more: lists answer "you ask too much" and "you ask through a public
// resolver" with addresses that look like listings; closed lists are emptied, parked, or list the whole world; resolvers turn
// "no such name" into the address of a page with advertisements. Who takes any answer for a listing raises false alarms, and
// who takes every silence for "not listed" sleeps through the true one. An Answer is therefore never a boolean but one of six
// states, and the promises are:
//
//   - no list is believed before it has passed its own test: its test entry is listed, an entry that must not be listed is not
//     (RFC 5782, section 5, with the exceptions of the catalogue), and again every hour;
//   - "clean" is only said by a list that would have said "listed";
//   - an answer that the catalogue does not explain is no listing where the operator says so;
//   - public lists are never swept address by address: a range is judged from entries that name it, from data feeds, and from
//     a few samples within a budget;
//   - keys of keyed zones are masked wherever a name is shown.
//
// A Catalogue holds what is known of each list, as data. An Engine asks. Look puts the answers about one target together: is
// this address the culprit, the neighbour of one, or has its whole range been listed? A Detector turns repeated answers into
// confirmed changes. A Feed holds a list's data in memory, for what no public list may be asked.
package dnsbl
