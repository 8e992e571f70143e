# escape=`
FROM mcr.microsoft.com/windows/nanoserver:ltsc2025
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
COPY testfile.txt c:\
RUN dir c:\; `
    Write-Host 'done'
WORKDIR c:\app
ENV A=`$x B="c:\dir"
