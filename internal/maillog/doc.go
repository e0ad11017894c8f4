// Package maillog reads the logs of mail servers and tells what became of each message.
package maillog
