ln -s a.txt link-to-file
ln -s dir link-to-dir
mkdir links
ln -s ../a.txt links/up
ln -s nowhere links/dangling
ln -s /etc/passwd links/absolute
ln -s . links/self
