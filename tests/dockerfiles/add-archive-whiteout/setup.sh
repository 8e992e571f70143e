# A file that is named as layers name what they take away.
base64 -d > wh.tar.gz <<EOF
H4sIAAAAAAACA+3RMQrCQBQE0K09hScIawy751mwUBAJbkKub4hWaawSEN9r5v9qimmma9OXWqdL
2Eycpa5bMsb8zlP8/IvVnVNqwzGGHYx1KM+5Mvyn/l5uj407vu/frvZPOZ/tv8v+hwAAAAAAAAAA
APyoFxwB0uAAKAAA
EOF
