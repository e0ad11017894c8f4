// Package cli is the command line of ukai: one file per subcommand, words for human eyes.
//
// A subcommand is a function that takes the env and returns a cobra.Command made by env.command; newRoot lists them. Its
// texts are looked up by a prefix of the message catalogue ("cli.version." has short and, if there is more to say, long and
// example). It writes what it found with env.show: once as a value for --json, once for people. It reports trouble by
// returning an error, in words of the catalogue; Main prints it and chooses the exit code.
//
// Exit codes: 0 done; 1 failed, or a check that found something; 2 could not tell, or undone; 3 the command line is wrong.
package cli

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"ukai/internal/i18n"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUnknown = 2
	exitUsage   = 3
)

// Main runs one command and returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if asQmailRemote(args) {
		return runQmailRemote(args, stdin, stdout)
	}
	if runDoor(args, stdin, stdout) {
		return exitDone
	}
	return run(args, &env{in: stdin, out: stdout, err: stderr, getenv: os.Getenv, now: time.Now, who: username, start: startApp, build: readBuild, site: siteConfig})
}

func run(args []string, e *env) int {
	e.lang = i18n.FromEnv()
	given, spoken := langFlag(args), true
	if given != "" {
		e.lang, spoken = i18n.Parse(given)
	}
	root := newRoot(e)
	e.json = slices.Contains(args, "--json") // for trouble that comes before the flags are read
	root.SetArgs(args)
	if !spoken {
		return e.report(root, usage("cli.usage.lang", "value", given))
	}
	cmd, err := root.ExecuteC()
	return e.report(cmd, err)
}

// langFlag looks for --lang before the commands are made: their help is in that language too.
func langFlag(args []string) string {
	for i, a := range args {
		if a == "--" {
			break
		}
		if v, found := strings.CutPrefix(a, "--lang="); found {
			return v
		}
		if a == "--lang" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// newRoot makes the tree of commands. This is the list.
func newRoot(e *env) *cobra.Command {
	root := e.group("ukai", "cli.root.",
		newServe(e),
		newConnect(e),
		newRehearse(e),
		newLogs(e),
		newStatus(e),
		newQueue(e),
		newTrace(e),
		newIncident(e),
		newNotify(e),
		newCase(e),
		newPath(e),
		newSuppressed(e),
		newListed(e),
		newAccount(e),
		newServers(e),
		newAgent(e),
		newExplain(e),
		newProvider(e),
		newRules(e),
		newUnclassified(e),
		newConfig(e),
		newLookup(e),
		newDoor(e),
		newQmailRemote(e),
		newVersion(e),
		newCompletion(e),
	)
	flags := root.PersistentFlags()
	flags.BoolVar(&e.json, "json", false, e.text("cli.flag.json"))
	flags.String("lang", "", e.text("cli.flag.lang")) // langFlag has read it
	flags.StringVarP(&e.configFlag, "config", "c", "", e.text("cli.flag.config"))
	flags.StringVarP(&e.dataFlag, "data", "d", "", e.text("cli.flag.data"))
	flags.BoolP("help", "h", false, e.text("cli.flag.help"))
	must(root.RegisterFlagCompletionFunc("lang", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{
			"ja\t" + i18n.Text(i18n.JA, "i18n.language.name"), "en\t" + i18n.Text(i18n.EN, "i18n.language.name"),
		}, cobra.ShellCompDirectiveNoFileComp
	}))
	must(root.MarkPersistentFlagFilename("config", "toml"))
	must(root.MarkPersistentFlagDirname("data"))

	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelp(e))
	root.SetHelpFunc(e.help)
	root.SetFlagErrorFunc(flagError)
	return root
}

// must is for what can only fail if this file is wrong.
func must(err error) {
	if err != nil {
		panic("bug: " + err.Error())
	}
}

// report prints what went wrong, once, and returns the exit code.
func (e *env) report(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var u *usageError
	var end *exitError
	switch {
	case errors.As(err, &u):
		code = exitUsage
	case errors.As(err, &end):
		if code = end.code; end.cause == nil { // all was said
			return code
		}
	}
	e.printError(err, code)
	if code == exitUsage && !e.json {
		e.printf("%s\n", e.text("cli.usage.hint", "command", cmd.CommandPath()+" --help"))
	}
	return code
}

func (e *env) printError(err error, code int) {
	text := i18n.ErrorText(e.lang, err)
	if e.json {
		if e.writeJSON(map[string]any{"error": text, "exit_code": code}) == nil {
			return
		}
	}
	e.printf("ukai: %s\n", harmless(text))
}

// longestLine is how much of a line of an error is shown: a file that is no text may be quoted in it.
const longestLine = 400

// harmless returns a text as it can be written to a terminal: an error quotes what stands in files, and control characters in
// them would be obeyed.
func harmless(text string) string {
	lines := strings.Split(strings.ToValidUTF8(text, "\uFFFD"), "\n")
	for i, l := range lines {
		if r := []rune(l); len(r) > longestLine {
			l = string(r[:longestLine]) + " ..."
		}
		lines[i] = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\t' {
				return '\uFFFD'
			}
			return r
		}, l)
	}
	return strings.Join(lines, "\n")
}
