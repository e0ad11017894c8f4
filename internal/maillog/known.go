package maillog

import "slices"

// place is where a mail server usually keeps its log.
type place struct {
	mta  MTA
	path string
}

// places are the usual paths, the likelier first, one line for each system's habit. Exim's second file is not among them: what
// stands there stands in the main log as well, and would count twice.
var places = []place{
	{Postfix, "/var/log/maillog"},  // Red Hat and its relatives, Plesk, FreeBSD, OpenBSD
	{Postfix, "/var/log/mail.log"}, // Debian, Ubuntu, macOS
	{Postfix, "/var/log/mail"},     // SUSE
	{Postfix, "/usr/local/psa/var/log/maillog"},
	{Postfix, "/var/log/plesk/maillog"},
	{Postfix, "/var/log/mail/mail.log"},   // Mageia, zimbra-like splits
	{Postfix, "/var/log/mail/info.log"},   // Mageia
	{Postfix, "/var/log/zimbra.log"},      // Zimbra
	{Postfix, "/var/log/postfix.log"},     // maillog_file of postconf(5), as its documentation writes it
	{Exim, "/var/log/exim4/mainlog"},      // Debian, Ubuntu
	{Exim, "/var/log/exim_mainlog"},       // cPanel
	{Exim, "/var/log/exim/mainlog"},       // FreeBSD, DirectAdmin, Gentoo
	{Exim, "/var/log/exim/main.log"},      // Fedora, EPEL
	{Exim, "/var/spool/exim/log/mainlog"}, // Exim's own default
	{Sendmail, "/var/log/maillog"},
	{Sendmail, "/var/log/mail.log"},
	{Sendmail, "/var/log/mail"},
	{Sendmail, "/var/log/syslog"}, // Solaris writes mail there
	{Qmail, "/var/log/qmail/current"},
	{Qmail, "/var/log/qmail/send/current"},
	{Qmail, "/var/log/qmail/qmail-send/current"},
	{Qmail, "/var/log/qmail/smtpd/current"},
	{Qmail, "/var/log/qmail/qmail-smtpd/current"},
	{Qmail, "/var/qmail/supervise/qmail-send/log/main/current"},
	{Qmail, "/service/qmail-send/log/main/current"},
	{Qmail, "/var/service/qmail-send/log/main/current"},
	{Qmail, "/var/log/maillog"}, // Plesk with qmail, splogger
	{Qmail, "/usr/local/psa/var/log/maillog"},
	{Qmail, "/var/log/mail.log"},
	{OpenSMTPD, "/var/log/maillog"},
	{OpenSMTPD, "/var/log/mail.log"},
}

// Known returns the paths at which the log of a mail server usually lies, the likelier first: of the server with that name
// ("postfix", "exim", ...), or of all for "". Whether one of them is there is for the caller to look at.
func Known(name string) []string {
	var all []string
	for _, p := range places {
		if (name == "" || p.mta.String() == name) && !slices.Contains(all, p.path) {
			all = append(all, p.path)
		}
	}
	return all
}
