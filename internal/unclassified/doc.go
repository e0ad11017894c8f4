// Package unclassified keeps the replies that no rule knows, for a person to look at.
//
// Rules are written from what providers document, and providers change their texts without telling anybody. A reply that no rule
// knows is judged by its code alone, which is safe but blind: such a reply may be the first sign of a block. So each of them is
// kept here until somebody has written a rule for it (see classify.Rules.Nearest, which names the rules that nearly fit) or has
// told ukai to forget it.
//
// Kept is the language of a reply, not whom it was about. Everything that could name a person or open a door is replaced before it
// is stored: mail addresses, local parts, IP addresses, host names, links, queue IDs, tokens, numbers. What differs only in these
// is one reply, which is counted.
//
// The mail path never waits: Note puts the reply into a small buffer in memory, and Run writes the buffer to the control
// database. The table is bounded; the reply that was not seen for the longest time makes room.
package unclassified
