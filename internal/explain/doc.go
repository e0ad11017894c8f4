// Package explain says what a reply, a line of a log or a whole report means, and what is to be done about it, in words.
package explain
