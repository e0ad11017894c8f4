package maillog

type attempt struct{}

func (p *Parser) qmailText(r *record, b []byte) bool { return false }
func (p *Parser) exim(r *record, b []byte) bool      { return false }
func (p *Parser) eximSyslog(r *record) bool          { return false }
func (p *Parser) sendmail(r *record) bool            { return false }
func (p *Parser) qmailTagged(r *record) bool         { return false }
func (p *Parser) opensmtpd(r *record) bool           { return false }
