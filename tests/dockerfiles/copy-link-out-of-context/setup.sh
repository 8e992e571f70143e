ln -s /etc/hostname-that-is-outside escape
ln -s ../../.. escape2
