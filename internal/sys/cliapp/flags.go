package cliapp

import "github.com/urfave/cli/v2"

// Names of the flags that several programs have.
const (
	FlagLogLevel     = "log-level"
	FlagLogFormat    = "log-format"
	FlagVerbose      = "verbose"
	FlagURL          = "url"
	FlagUser         = "user"
	FlagPassword     = "password"
	FlagPasswordFile = "password-file"
	FlagReadyFile    = "ready-file"

	FlagAllowPlaintext = "allow-plaintext"
)

// EnvAllowPlaintext is the environment variable of --allow-plaintext.
const EnvAllowPlaintext = "SHV_ALLOW_PLAINTEXT"

// The environment variables of the log.
const (
	envLogLevel  = "SHV_LOG_LEVEL"
	envLogFormat = "SHV_LOG_FORMAT"
)

// LogFlags returns the flags that LoggerFromFlags reads. level is the default: "info"
// for daemons, "warn" for programs that a user runs.
func LogFlags(level string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: FlagLogLevel, Value: level, EnvVars: []string{envLogLevel},
			Usage: "log messages from `LEVEL` up: " + levelList(),
		},
		&cli.StringFlag{
			Name: FlagLogFormat, Value: formatText, EnvVars: []string{envLogFormat},
			Usage: "log in `FORMAT` text or json",
		},
		&cli.BoolFlag{
			Name: FlagVerbose, Aliases: []string{"v"}, DisableDefaultText: true,
			Usage: "log more, like --" + FlagLogLevel + " debug",
		},
	}
}

// LoginFlags returns the flags of a client's login, and --url.
//
// Only --url names its environment variable to urfave/cli. The others are read by
// GivenLogin, which has to know whether a value came from a flag or the environment.
func LoginFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: FlagURL, EnvVars: []string{"SHV_URL"},
			Usage: "connect to the broker at `URL`: ssl://HOST?ca=FILE, wss://HOST?ca=FILE, unix:PATH, or, without " +
				"encryption, tcp://HOST, tcps://HOST, ws://HOST; without it, " + DefaultURL,
		},
		&cli.BoolFlag{
			Name: FlagAllowPlaintext, DisableDefaultText: true,
			Usage: "connect without encryption off loopback too, where everyone on the path can read along and answer " +
				"for the broker [$" + EnvAllowPlaintext + "=1]",
		},
		&cli.StringFlag{
			Name:  FlagUser,
			Usage: "log in as `USER` [$" + envUser + "]",
		},
		&cli.StringFlag{
			Name:  FlagPasswordFile,
			Usage: "read the password from `FILE` [$" + envPasswordFile + ", or the password itself from $" + envPassword + "]",
		},
		// For command lines of the C++ tools. Everyone who lists processes can read it.
		&cli.StringFlag{Name: FlagPassword, Hidden: true},
	}
}

// ReadyFileFlag returns --ready-file; see WriteReadyFile.
func ReadyFileFlag() cli.Flag {
	return &cli.StringFlag{
		Name:  FlagReadyFile,
		Usage: "when ready, write the URLs to `FILE`, one per line",
	}
}
