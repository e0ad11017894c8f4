// Package postfix reads the configuration of a Postfix that stays, and plans how it is connected to ukai.
//
// # The three modes
//
// Relay names ukai as relayhost: all remote mail goes there.
//
// Safety net, the default, leaves the delivery to Postfix. A few parameters in main.cf make a refusal for the reputation of the
// address take the detour within the same attempt: smtp_reply_filter turns the last line of such a reply from 5xx into 4xx, and
// after a 4xx the SMTP client goes on to smtp_fallback_relay, which is ukai; smtp_mx_session_limit = 1 keeps it from asking the
// provider's other hosts first. smtp_delivery_status_filter is the second net: what the first missed is deferred instead of
// bounced. All of that is static and needs nobody who runs. When ukai is down a refused message waits in Postfix's own queue.
//
// ukai is reached by a door: a port of loopback on which Postfix's own master listens and starts "ukai door" (package steer), which
// passes the session on once ukai greets, and says at once that ukai is not there where it does not. So a ukai that hangs does not
// hold the processes that all mail shares, and Postfix's limits towards everybody else stay as they are.
//
// Steer is the safety net, and sends mail for a blocked provider to ukai at once, by an entry in transport_maps. It names a
// transport of its own (master.cf) with two next hops, "[door]:port, the.domain": the former route is behind
// ukai. The entries are in a file that package steer keeps, or they are asked for one by one (socketmap_table(5)). Postfix does not ask ukai
// itself then, since it would defer all mail when nobody answers: it asks "ukai lookup", which Postfix's own spawn(8) starts.
//
// # Who falls back
//
// Parameters in main.cf hold for each smtp(8) of master.cf that does not override them. That is wanted for services with a
// source address of their own (Plesk has one for each domain). It is harmful where smtp(8) hands mail to a host of the
// operator's: a content filter that is down would be passed by, and mail for a mail store that is down would leave the house
// and come back in a circle. Services that are named for such a purpose get "-o smtp_fallback_relay="; where such a next hop is
// named together with the service that all mail uses, the plan is refused.
//
// # Sources
//
// postconf(5), master(5), transport(5), socketmap_table(5), smtp(8), spawn(8) and MULTI_INSTANCE_README of Postfix 3.7; what is said there was
// tried on Postfix 3.7.11.
package postfix
