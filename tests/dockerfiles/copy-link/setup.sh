mkdir t && echo in > t/in && tar -cf archive.tar --owner=0 --group=0 -C t in && rm -r t
