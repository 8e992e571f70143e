# Extended attributes, a pipe, a directory after what is in it, a name twice, large numbers.
base64 -d > attrs.tar.gz <<EOF
H4sIAAAAAAACA+2Zy07CQBiFR5c8RV/AdnqZGTdNTNxg4sLElctKR5ikAukl1rd3oESFIoZFfwhz
vk2nJKRJT84580/9wA/unrJ2rLNcl2wQeMdfV85V+LNe/R7yKIyZ1zICmqrOSvt45iZCec/344fH
F7/N6rr0Kz1pSlN/+pNsmb2awi7TK8aumbf9vxEDl4CVefBnrC0uxMbjqruGv/zPk23/c5kknHkc
/qfQH1Z2GP8c+j9J0P8nIpbb/d9UuvTni1qnM10Ui9FcfyAfLpiV3hT9L789vq//xW7/SxGi/6n0
h8HR/yft/3hP/0fofwqi2z39v5inuUEsuIDVOSDo/0gJfqD/d9dSxHb+F/C/I/mv+vkvkP8k81+4
nf91aV+IzrsRsEUFXDobvU87//W6QMUS8x+l/jC6oyzNUhPs/6z/j9r/ycj2v4T/B6fIah1MZqbI
B9afH9Jf7ua/VAnyn4K19Eh/Z1n7nyD/FT8u/xXmfxKq7J2o/5Mj8t/2P/b/JLyZsqqR/85C5v+D
+a96/l99/4H/CfTXk8UcG0BnOY/zf9k//09w/k9BKLzG5GncvfqRvZ1+34aIBQfmv3Kqb8ygHwD+
3//HvfN/IdD/FBh0PwAAAAAAAAAAAAAAAAAAAAAXwxeECc4aAFAAAA==
EOF
