@echo off
rem Runs Bazel on Windows with the arguments that it is given: bazelisk or bazel from PATH. Like bazelw, it makes the
rem compiler a part of what a cache is asked for, and the system's version a part of what is asked for of a test. The
rem compiler is the Visual C++ that Bazel takes: BAZEL_VC's, or else the newest that is installed.
setlocal EnableExtensions DisableDelayedExpansion

set "bazel="
for %%p in (bazelisk.exe bazelisk.cmd bazelisk.bat bazel.exe bazel.cmd bazel.bat) do if not defined bazel if not "%%~$PATH:p"=="" set "bazel=%%~$PATH:p"
if not defined bazel goto no_bazel

set "programs=%ProgramFiles(x86)%"
set "vswhere=%programs%\Microsoft Visual Studio\Installer\vswhere.exe"
set "vc=%BAZEL_VC%"
if defined vc goto have_vc
if not exist "%vswhere%" goto no_compiler
for /f "delims=" %%d in ('call "%vswhere%" -latest -products * -requires Microsoft.VisualStudio.Component.VC.Tools.x86.x64 -property installationPath') do set "vc=%%d\VC"
if not defined vc goto no_compiler

:have_vc
set "tools=%BAZEL_VC_FULL_VERSION%"
set "default=%vc%\Auxiliary\Build\Microsoft.VCToolsVersion.default.txt"
if not defined tools if exist "%default%" set /p tools=<"%default%"
if not defined tools goto no_compiler
set "tools=%tools: =%"

rem The newest Windows SDK, which Bazel takes unless it is told of another.
set "sdk=%BAZEL_WINSDK_FULL_VERSION%"
if not defined sdk for /f "delims=" %%d in ('dir /b /ad /on "%programs%\Windows Kits\10\Include\10.*" 2^>nul') do set "sdk=%%d"
if not defined sdk set "sdk=none"

set "windows=unknown"
for /f "tokens=2 delims=[]" %%v in ('ver') do set "windows=%%v"
set "windows=%windows: =_%"

set "directory=%LOCALAPPDATA%\ioring-bazel"
if not exist "%directory%" mkdir "%directory%"
set "rc=%directory%\machine-%tools%-%sdk%-%windows%.bazelrc"
>"%rc%" echo build --remote_default_exec_properties=toolchain=msvc-%tools%-sdk-%sdk%
>>"%rc%" echo build --test_env=IORING_KERNEL=%windows%

call "%bazel%" "--bazelrc=%rc%" %*
exit /b %ERRORLEVEL%

:no_bazel
>&2 echo bazelw: install bazelisk, then run this again.
exit /b 1

:no_compiler
>&2 echo bazelw: install Visual C++ 2022, or set BAZEL_VC to its folder, then run this again.
exit /b 1
