package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ukai/internal/account"
	"ukai/internal/app"
	"ukai/internal/i18n"
	"ukai/internal/store"
)

func newAccount(e *env) *cobra.Command {
	return e.group("account", "cli.account.", newAccountAdd(e), newAccountList(e), newAccountPassword(e), newAccountLimit(e),
		newAccountDomains(e), newAccountSuspend(e), newAccountResume(e), newAccountDelete(e))
}

// withAccounts opens the book of accounts in the data directory, whether ukai runs or not. Only a command that makes an
// account makes the directory too: any other in a place without one is in the wrong place.
func (e *env) withAccounts(ctx context.Context, f func(*account.Book) error) error {
	dir, err := e.dataDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, app.DatabaseName)); errors.Is(err, fs.ErrNotExist) {
		return i18n.Errorf("cli.account.no_data", "dir", dir, "cause", err)
	}
	return inBook(ctx, dir, f)
}

// makeAccounts does what withAccounts does where there is no data directory yet.
func (e *env) makeAccounts(ctx context.Context, f func(*account.Book) error) error {
	dir, err := e.dataDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return i18n.Errorf("app.data.make", "dir", dir, "cause", err)
	}
	return inBook(ctx, dir, f)
}

func inBook(ctx context.Context, dir string, f func(*account.Book) error) error {
	db, err := store.Open(filepath.Join(dir, app.DatabaseName), true)
	if err != nil {
		return i18n.Errorf("cli.account.database", "dir", dir, "cause", err)
	}
	book, err := account.Open(ctx, db, account.Options{})
	if err == nil {
		err = f(book)
	} else {
		err = i18n.Errorf("cli.account.database", "dir", dir, "cause", err)
	}
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return errors.Join(err, handOver(dir))
}

// handOver gives the database to whom the data directory belongs. Root makes accounts before ukai has ever run as a user of
// its own, which could then not write to what root has made.
func handOver(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		err := os.Lchown(filepath.Join(dir, app.DatabaseName+suffix), int(owner.Uid), int(owner.Gid))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// password reads a password: a line of standard input, or, when there is none to read, one made up and shown.
func (e *env) password(generate bool) (text string, made bool, err error) {
	if generate {
		return rand.Text(), true, nil
	}
	if f, ok := e.in.(*os.File); ok && terminal(f) {
		e.printf("%s", e.text("cli.account.prompt"))
	}
	line, err := bufio.NewReader(e.in).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", false, usage("cli.account.no_password")
	}
	if errors.Is(err, io.EOF) { // a line without an end is a line
		err = nil
	}
	return line, false, err
}

func newAccountAdd(e *env) *cobra.Command {
	var domains []string
	var generate bool
	var limits account.Limits
	cmd := e.command("add NAME", "cli.account.add.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		if len(domains) == 0 {
			return usage("cli.account.no_domain", "name", a[0])
		}
		pw, made, err := e.password(generate)
		if err != nil {
			return err
		}
		return e.makeAccounts(cmd.Context(), func(b *account.Book) error {
			if err := b.Add(cmd.Context(), account.Account{Name: a[0], Domains: domains, Limits: limits}, pw); err != nil {
				return err
			}
			return e.showSecret("cli.account.added", a[0], pw, made)
		})
	})
	cmd.Flags().StringSliceVar(&domains, "domain", nil, e.text("cli.account.flag.domain"))
	cmd.Flags().BoolVar(&generate, "generate", false, e.text("cli.account.flag.generate"))
	limitFlags(e, cmd, &limits)
	return cmd
}

const (
	flagMessages   = "messages-per-hour"
	flagRecipients = "recipients-per-day"
)

func limitFlags(e *env, cmd *cobra.Command, l *account.Limits) {
	cmd.Flags().IntVar(&l.MessagesPerHour, flagMessages, 0, e.text("cli.account.flag.messages"))
	cmd.Flags().IntVar(&l.RecipientsPerDay, flagRecipients, 0, e.text("cli.account.flag.recipients"))
}

// showSecret says that it is done and, once, the password that was made up.
func (e *env) showSecret(key, name, pw string, made bool) error {
	out := map[string]string{"account": name}
	if made {
		out["password"] = pw
	}
	return e.show(out, func(w io.Writer) {
		fmt.Fprintln(w, e.text(key, "name", name))
		if made {
			fmt.Fprintln(w, e.text("cli.account.made", "password", pw))
		}
	})
}

func newAccountList(e *env) *cobra.Command {
	return e.command("list", "cli.account.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			list, err := b.List(cmd.Context())
			if err != nil {
				return err
			}
			if list == nil {
				list = []*account.Account{}
			}
			return e.show(list, func(w io.Writer) { e.listAccounts(w, list) })
		})
	})
}

func (e *env) listAccounts(w io.Writer, list []*account.Account) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.account.list.none"))
		return
	}
	t := newTable(e.text("cli.account.col.name"), e.text("cli.account.col.domains"), e.text("cli.account.col.hour"), e.text("cli.account.col.day"), e.text("cli.account.col.state"))
	for _, a := range list {
		state := e.text("cli.account.active")
		switch {
		case a.Suspended.IsZero():
		case a.Reason == "":
			state = e.text("cli.account.suspended", "since", a.Suspended)
		default:
			state = e.text("cli.account.suspended.why", "since", a.Suspended, "why", a.Reason)
		}
		t.row(a.Name, strings.Join(a.Domains, " "), e.limit(a.Limits.MessagesPerHour), e.limit(a.Limits.RecipientsPerDay), state)
	}
	t.write(w)
}

func (e *env) limit(n int) string {
	if n == 0 {
		return e.text("cli.account.unlimited")
	}
	return strconv.Itoa(n)
}

func newAccountPassword(e *env) *cobra.Command {
	var generate bool
	cmd := e.command("password NAME", "cli.account.password.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		pw, made, err := e.password(generate)
		if err != nil {
			return err
		}
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			if err := b.SetPassword(cmd.Context(), a[0], pw); err != nil {
				return err
			}
			return e.showSecret("cli.account.changed", a[0], pw, made)
		})
	})
	cmd.Flags().BoolVar(&generate, "generate", false, e.text("cli.account.flag.generate"))
	return cmd
}

// accountChange makes a command that changes one account and says so.
func (e *env) accountChange(use, prefix, done string, most int, change func(ctx context.Context, b *account.Book, a []string) error) *cobra.Command {
	return e.command(use, prefix, args(1, most), func(cmd *cobra.Command, a []string) error {
		return e.withAccounts(cmd.Context(), func(b *account.Book) error {
			if err := change(cmd.Context(), b, a); err != nil {
				return err
			}
			return e.show(map[string]string{"account": a[0]}, func(w io.Writer) { fmt.Fprintln(w, e.text(done, "name", a[0])) })
		})
	})
}

func newAccountLimit(e *env) *cobra.Command {
	var given account.Limits
	var cmd *cobra.Command
	cmd = e.accountChange("limit NAME", "cli.account.limit.", "cli.account.changed", 1, func(ctx context.Context, b *account.Book, a []string) error {
		messages, recipients := cmd.Flags().Changed(flagMessages), cmd.Flags().Changed(flagRecipients)
		if !messages && !recipients {
			return usage("cli.account.no_limit", "name", a[0])
		}
		now, err := b.Get(ctx, a[0])
		if err != nil {
			return err
		}
		limits := now.Limits // one that is not given stays
		if messages {
			limits.MessagesPerHour = given.MessagesPerHour
		}
		if recipients {
			limits.RecipientsPerDay = given.RecipientsPerDay
		}
		return b.SetLimit(ctx, a[0], limits)
	})
	limitFlags(e, cmd, &given)
	return cmd
}

func newAccountDomains(e *env) *cobra.Command {
	cmd := e.accountChange("domains NAME DOMAIN...", "cli.account.domains.", "cli.account.changed", -1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.SetDomains(ctx, a[0], a[1:])
	})
	cmd.Args = args(2, -1)
	return cmd
}

func newAccountSuspend(e *env) *cobra.Command {
	var reason string
	cmd := e.accountChange("suspend NAME", "cli.account.suspend.", "cli.account.suspended.done", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Suspend(ctx, a[0], reason)
	})
	cmd.Flags().StringVar(&reason, "why", "", e.text("cli.account.flag.why"))
	return cmd
}

func newAccountResume(e *env) *cobra.Command {
	return e.accountChange("resume NAME", "cli.account.resume.", "cli.account.resumed", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Resume(ctx, a[0])
	})
}

func newAccountDelete(e *env) *cobra.Command {
	return e.accountChange("delete NAME", "cli.account.delete.", "cli.account.deleted", 1, func(ctx context.Context, b *account.Book, a []string) error {
		return b.Delete(ctx, a[0])
	})
}
