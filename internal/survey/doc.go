// Package survey sums up what the logs of mail servers say: who refused, why, and since when.
//
// A log tells what happened line by line; an admin whose mail is refused wants four answers. Who: the providers, found by
// the hosts that answered, so that the customers' own domains behind Google count as Google. Why: the verdict of package
// classify on each reply. Since when: the change point, see below. And whom do we ourselves lock out: the partners whose mail
// our own blocklists rejected, those first to whom we have written before.
//
// # The change point
//
// For each provider (and each host that wrote a log, because each has its own address) the messages form a row of accepted
// and refused, in the order of the log. A message counts once for each verdict, however often it was tried again and to
// however many recipients it went: otherwise one newsletter or one impatient queue would look like an incident. The row is cut
// into segments of constant share so that the likelihood of the whole is greatest, each cut costing 5 + ln n nats (n: length
// of the row). That is optimal partitioning with the logarithm of the Bernoulli likelihood as its cost (Jackson et al., 2005;
// Killick, Fearnhead and Eckley, 2012). No bins of hours or minutes are involved, so the change is named to the message. Cuts
// that make no practical difference (less than 5 percentage points, or odds that do not triple) are taken back. At least five
// refusals are asked for before anything is said.
//
// # Memory
//
// Everything is bounded, whatever the log holds. Rows are kept as runs of equal results; when there are too many runs, those
// neighbours become one whose difference carries the least likelihood, so that a real change stays where it is. Tables of domains and
// partners keep the frequent ones: a table that had to forget says how large a count may be that is missing (see Tally).
// A message that waits is remembered among at least the last 65,536 that were deferred; one that drops out counts again.
package survey
