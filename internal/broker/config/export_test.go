package config

// LoadText is for the fuzzer, which is slow and sees noise where files are.
var LoadText = load
