// Package maillog reads the logs of mail servers and tells what became of each message.
//
// # Why logs
//
// A server that ukai does not relay for still knows everything: to whom each message went, who refused it in which words, whom
// it turned away itself. It writes that down, in lines made for eyes. This package reads them back: of Postfix, Exim, Sendmail,
// qmail and OpenSMTPD, in every form of syslog that is in use, plain or packed, rotated, from files, from a pipe, or live.
//
// # How a log tells a story
//
// No line says everything. Postfix names the client in one line, the Message-ID in the next, sender and size in a third, and then
// each recipient in a line of its own, minutes or days later:
//
//	smtpd[1]:   4XyzAb1C2Dz1Qw2: client=app.example.org[192.0.2.10]
//	cleanup[2]: 4XyzAb1C2Dz1Qw2: message-id=<1.2@app.example.org>
//	qmgr[3]:    4XyzAb1C2Dz1Qw2: from=<shop@example.org>, size=2345, nrcpt=1 (queue active)
//	smtp[4]:    4XyzAb1C2Dz1Qw2: to=<a@example.com>, relay=mx.example.com[192.0.2.25]:25, ..., status=bounced (host ... said: 550 ...)
//	qmgr[3]:    4XyzAb1C2Dz1Qw2: removed
//
// The queue ID holds them together, on one host and in one instance of the server. It is not a name for ever: short IDs of
// Postfix come from an inode and the microsecond, qmail's are inodes; a line that opens a message forgets what had its ID
// before. A Parser keeps what was said of a message until it is removed, and hands out an Event for each line that decides
// something: of one recipient, of one client that was refused, of one message that was taken.
//
// # What is not told
//
// An attempt at one of several servers of a domain, after which the next one was tried, is no event: the recipient's own line
// says how it ended. Probes of addresses (Postfix's verify) and lines of Exim that only say that it is too early to try are
// none either.
//
// # Times
//
// The classic form of syslog (RFC 3164) has no year. The first line of a file lies in the last year in which it is not after the
// file's last change; from then on the log goes forward, and a step back of more than a month is a turn of the year. A
// 29 February names its year itself. RFC 5424, RFC 3339, Exim's own form, TAI64N and the systemd journal (export and JSON) have
// all that is needed.
//
// # Bounds
//
// Whatever the file holds, memory stays flat: a line above 1 MB is left out, what is packed is unpacked as it is read, the number
// of messages that are known is limited (see Parser), and names are kept in tables of fixed size. What was left out is told in
// Stats.Skipped. Control characters become blanks or question marks, so that no log can play with the reader's terminal.
//
// # Speed
//
// An incident is looked into with hundreds of millions of lines. So a line is looked at as octets, the hour of its time and the
// names that come again are kept, and nothing is allocated for a line that tells nothing; bench/maillog measures that.
package maillog
