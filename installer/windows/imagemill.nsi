; An installer for one user, without administrator's rights: nothing outside the user's own folders is touched.
;
;   makensis -DVERSION=0.1.0 -DFROZEN=dist/imagemill -DICON=build/imagemill.ico -DOUT=dist/imagemill-setup.exe imagemill.nsi
;
; Silent: imagemill-setup.exe /S. Starting at login is asked for by the program, never taken by the installer.
Unicode true
ManifestDPIAware true
SetCompressor /SOLID lzma

!include "MUI2.nsh"
!include "FileFunc.nsh"

!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\imagemill"

Name "imagemill"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\imagemill"
InstallDirRegKey HKCU "${KEY}" "InstallLocation"
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "imagemill"
VIAddVersionKey "FileDescription" "imagemill installer"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "imagemill contributors"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "$INSTDIR\imagemill.exe"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"

LangString RUNS ${LANG_ENGLISH} "imagemill is running. Quit it (tray icon, Quit), then go on."
LangString RUNS ${LANG_GERMAN} "imagemill läuft noch. Bitte beenden (Symbol neben der Uhr, Quit), dann weiter."
LangString FORGET ${LANG_ENGLISH} "Delete all jobs, pictures and settings of imagemill too?"
LangString FORGET ${LANG_GERMAN} "Auch alle Aufträge, Bilder und Einstellungen von imagemill löschen?"

; A program that runs cannot be opened for writing; its files must not change under it.
!macro WAIT_UNTIL_IT_ENDS PREFIX
Function ${PREFIX}WaitUntilItEnds
  again:
    IfFileExists "$INSTDIR\imagemill.exe" 0 free
    ClearErrors
    FileOpen $0 "$INSTDIR\imagemill.exe" a
    IfErrors busy
    FileClose $0
    Goto free
  busy:
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "$(RUNS)" /SD IDCANCEL IDRETRY again
    SetErrorLevel 1
    Abort
  free:
FunctionEnd
!macroend
!insertmacro WAIT_UNTIL_IT_ENDS ""
!insertmacro WAIT_UNTIL_IT_ENDS "un."

Section
  Call WaitUntilItEnds
  ; Files of an older version must not be found by a newer one.
  RMDir /r "$INSTDIR\_internal"
  SetOutPath "$INSTDIR"
  File /r "${FROZEN}/*"
  File "/oname=imagemill.ico" "${ICON}"
  CreateShortcut "$SMPROGRAMS\imagemill.lnk" "$INSTDIR\imagemill.exe" "" "$INSTDIR\imagemill.ico"
  ; `imagemill` in the Run dialog, without a change of PATH.
  WriteRegStr HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\imagemill.exe" "" "$INSTDIR\imagemill.exe"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKCU "${KEY}" "DisplayName" "imagemill"
  WriteRegStr HKCU "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${KEY}" "DisplayIcon" "$INSTDIR\imagemill.ico"
  WriteRegStr HKCU "${KEY}" "Publisher" "imagemill contributors"
  WriteRegStr HKCU "${KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegDWORD HKCU "${KEY}" "EstimatedSize" $0
  WriteRegDWORD HKCU "${KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${KEY}" "NoRepair" 1
SectionEnd

Section "Uninstall"
  Call un.WaitUntilItEnds
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\imagemill.exe"
  Delete "$INSTDIR\imagemill.ico"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\imagemill.lnk"
  ; What the program itself has put there, when it was asked to start at login.
  Delete "$SMSTARTUP\imagemill-serve.cmd"
  DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "imagemill"
  DeleteRegKey HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\imagemill.exe"
  DeleteRegKey HKCU "${KEY}"
  ; What is the user's stays, unless he says otherwise; a silent end deletes nothing.
  MessageBox MB_YESNO|MB_DEFBUTTON2|MB_ICONQUESTION "$(FORGET)" /SD IDNO IDNO keep
  RMDir /r "$LOCALAPPDATA\imagemill"
  keep:
SectionEnd
