package queue

import "time"

// Hasty are options under which index and compaction do at once what they otherwise put off, in small segments.
func Hasty() Options {
	return Options{
		segmentSize: 64 << 10, inline: 8 << 10, lazy: time.Millisecond, settle: time.Millisecond, tick: 2 * time.Millisecond, calm: 1,
	}
}
