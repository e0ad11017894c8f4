package intake

import (
	"strings"
	"sync"
	"time"

	"ukai/internal/mail"
)

// quota bounds how many reports about one message are taken: who got the message knows its token, and must not be able to use us
// for filling its sender's mailbox. The zero value is ready.
type quota struct {
	mu    sync.Mutex // guards the fields below
	began time.Time
	taken map[mail.ID]int
}

const (
	quotaPeriod   = 24 * time.Hour
	quotaMessages = 100_000 // about 4 MB; with more, counting begins anew
)

// take tells whether one more report may come.
func (q *quota) take(id mail.ID, most int, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken == nil || now.Sub(q.began) > quotaPeriod || len(q.taken) >= quotaMessages {
		q.began, q.taken = now, make(map[mail.ID]int)
	}
	q.taken[id]++
	return q.taken[id] <= most
}

func fold(s string) string { return strings.ToLower(s) }
